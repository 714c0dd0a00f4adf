import { MessageReader, malformed } from './message-reader.ts';
import { backend } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { terminatedBytes } from './utf8-text.ts';

/** The Int32 that tells AuthenticationXxx messages apart (manual: protocol-message-formats). */
const codes = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 } as const;

/** What a server asks of a client that logs in. */
export type Authentication =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: string[] }
  | { readonly kind: 'saslContinue'; readonly data: Buffer }
  | { readonly kind: 'saslFinal'; readonly data: Buffer }
  /** Kerberos, GSSAPI, SSPI and what may come. */
  | { readonly kind: 'unsupported'; readonly code: number };

/** Shared by all that send it: never written into. */
export const authenticationOk: Buffer = new MessageWriter(backend.authentication, 4).int32(codes.ok).finish();
export const authenticationCleartext: Buffer = new MessageWriter(backend.authentication, 4)
  .int32(codes.cleartext)
  .finish();

export function encodeAuthenticationSasl(mechanisms: readonly string[]): Buffer {
  let bodyBytes = 4 + 1;
  for (const mechanism of mechanisms) bodyBytes += terminatedBytes(mechanism);
  const message = new MessageWriter(backend.authentication, bodyBytes).int32(codes.sasl);
  for (const mechanism of mechanisms) message.text(mechanism);
  return message.uint8(0).finish();
}

export function encodeAuthenticationSaslContinue(data: Buffer): Buffer {
  return encodeData(codes.saslContinue, data);
}

export function encodeAuthenticationSaslFinal(data: Buffer): Buffer {
  return encodeData(codes.saslFinal, data);
}

function encodeData(code: number, data: Buffer): Buffer {
  return new MessageWriter(backend.authentication, 4 + data.length).int32(code).bytes(data).finish();
}

export function decodeAuthentication(frame: Buffer): Authentication {
  const reader = new MessageReader(frame);
  const code = reader.int32();
  const authentication = readAuthentication(code, reader);
  reader.end();
  return authentication;
}

function readAuthentication(code: number, reader: MessageReader): Authentication {
  switch (code) {
    case codes.ok:
      return { kind: 'ok' };
    case codes.cleartext:
      return { kind: 'cleartext' };
    case codes.md5:
      return { kind: 'md5', salt: reader.bytes(4) };
    case codes.sasl:
      return { kind: 'sasl', mechanisms: readMechanisms(reader) };
    case codes.saslContinue:
      return { kind: 'saslContinue', data: reader.rest() };
    case codes.saslFinal:
      return { kind: 'saslFinal', data: reader.rest() };
    default:
      reader.rest();
      return { kind: 'unsupported', code };
  }
}

function readMechanisms(reader: MessageReader): string[] {
  const mechanisms: string[] = [];
  for (let name = reader.text(); name !== ''; name = reader.text()) mechanisms.push(name);
  if (mechanisms.length === 0) throw malformed('no SASL mechanism in message');
  return mechanisms;
}
