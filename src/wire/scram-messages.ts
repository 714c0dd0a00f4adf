import { type PgError, pgError } from '../core/errors.ts';
import { decodeBase64, keyBytes, maxIterations } from './scram-verifier.ts';

/**
 * The four messages of SCRAM (RFC 5802, section 7) as texts in latin1, one character a byte: they are signed as they were
 * sent. Attributes that nobody here knows are skipped where the RFC lets extensions stand.
 */

/** The gs2 headers that say "no channel binding": the client can't (n), or thinks that the server can't (y). */
type Gs2Header = 'n,,' | 'y,,';

/** `bare` is the message without its gs2 header: the part that is signed. */
export interface ClientFirst {
  readonly gs2Header: Gs2Header;
  readonly bare: string;
  readonly nonce: string;
}

export function readClientFirst(message: Buffer): ClientFirst {
  const parts = /^([ny]|p=[^,]*),(a=[^,]*)?,((?:m=[^,]*,)?)(n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/s.exec(
    message.toString('latin1'),
  );
  if (parts === null) throw malformedScram('client-first-message');
  const [, flag, authorizationId, mandatory, bare, nonce] = parts;
  if (flag !== 'n' && flag !== 'y') {
    throw malformedScram('client-first-message', 'It asks for channel binding, which was not offered.');
  }
  if (authorizationId !== undefined && authorizationId !== 'a=') {
    throw pgError('featureNotSupported', 'client uses authorization identity, but it is not supported');
  }
  if (mandatory !== '') throw pgError('featureNotSupported', 'client requires an unsupported SCRAM extension');
  return { gs2Header: `${flag},,`, bare: bare!, nonce: nonce! };
}

/** `withoutProof` is what the proof signs. */
export interface ClientFinal {
  readonly channelBinding: string;
  readonly nonce: string;
  readonly withoutProof: string;
  readonly proof: Buffer;
}

export function readClientFinal(message: Buffer): ClientFinal {
  const parts = /^(c=([^,]*),r=([^,]*)(?:,.*)?),p=([^,]*)$/s.exec(message.toString('latin1'));
  if (parts === null) throw malformedScram('client-final-message');
  const [, withoutProof, channelBinding, nonce, proofText] = parts;
  const proof = decodeBase64(proofText!);
  if (proof?.length !== keyBytes) throw malformedScram('client-final-message', 'Malformed proof.');
  return { channelBinding: channelBinding!, nonce: nonce!, withoutProof: withoutProof!, proof };
}

export interface ServerFirst {
  readonly nonce: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

export function readServerFirst(message: string): ServerFirst {
  const parts = /^r=([\x21-\x2b\x2d-\x7e]+),s=([^,]+),i=([1-9]\d{0,9})(?:,.*)?$/s.exec(message);
  const salt = parts === null ? null : decodeBase64(parts[2]!);
  if (parts === null || salt === null) throw malformedScram('server-first-message');
  const iterations = Number(parts[3]);
  if (iterations > maxIterations) {
    throw malformedScram(
      'server-first-message',
      `It asks for ${iterations} iterations; the bound is ${maxIterations}.`,
    );
  }
  return { nonce: parts[1]!, salt, iterations };
}

/** The server's signature; null for `e=…`, a refusal, and anything malformed. */
export function readServerFinal(message: Buffer): Buffer | null {
  const parts = /^v=([^,]+)(?:,.*)?$/s.exec(message.toString('latin1'));
  return parts === null ? null : decodeBase64(parts[1]!);
}

export function malformedScram(message: string, detail?: string): PgError {
  return pgError('protocolViolation', 'malformed SCRAM message', { detail: detail ?? `Malformed ${message}.` });
}
