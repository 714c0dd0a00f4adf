import { createHash, randomBytes } from 'node:crypto';
import { assert } from '../core/assert.ts';
import {
  type ClientFirst,
  malformedScram,
  readClientFinal,
  readClientFirst,
  readServerFinal,
  readServerFirst,
} from './scram-messages.ts';
import { deriveScramKeys, hmac, type ScramKeys, type ScramVerifier, sameBytes, sha256 } from './scram-verifier.ts';

export {
  buildScramVerifier,
  deriveScramKeys,
  mockVerifier,
  parseScramVerifier,
  type ScramKeys,
  type ScramVerifier,
} from './scram-verifier.ts';

/** The one mechanism spoken here: RFC 7677 without channel binding. */
export const scramMechanism = 'SCRAM-SHA-256';

/** As PostgreSQL's: 18 random bytes in base64, which has no comma. */
export function randomScramNonce(): string {
  return randomBytes(18).toString('base64');
}

/**
 * The server's half of one login: `first`, then `final`. Its client key, recovered from the proof (ClientKey = ClientProof
 * XOR ClientSignature), logs in at every server with the same verifier. Messages that are no SCRAM throw protocolViolation;
 * a wrong proof is an ordinary outcome, `{ ok: false }`.
 */
export class ScramServer {
  readonly #verifier: ScramVerifier;
  readonly #nonce: () => string;
  #exchange: { readonly clientFirst: ClientFirst; readonly nonce: string; readonly serverFirst: string } | null = null;

  constructor(verifier: ScramVerifier, nonce: () => string) {
    this.#verifier = verifier;
    this.#nonce = nonce;
  }

  first(clientFirstMessage: Buffer): Buffer {
    assert(this.#exchange === null, 'a SCRAM exchange starts once');
    const clientFirst = readClientFirst(clientFirstMessage);
    const nonce = clientFirst.nonce + this.#nonce();
    const { salt, iterations } = this.#verifier;
    const serverFirst = `r=${nonce},s=${salt.toString('base64')},i=${iterations}`;
    this.#exchange = { clientFirst, nonce, serverFirst };
    return Buffer.from(serverFirst, 'latin1');
  }

  final(clientFinalMessage: Buffer): { ok: true; message: Buffer; clientKey: Buffer } | { ok: false } {
    const exchange = this.#exchange;
    assert(exchange !== null, 'a SCRAM exchange ends after it starts');
    const clientFinal = readClientFinal(clientFinalMessage);
    const { clientFirst, nonce, serverFirst } = exchange;
    // The client repeats its gs2 header under its signature: a man in the middle who took channel binding off shows here.
    if (clientFinal.channelBinding !== Buffer.from(clientFirst.gs2Header).toString('base64')) {
      throw malformedScram('', 'Unexpected channel-binding attribute in client-final-message.');
    }
    if (clientFinal.nonce !== nonce) throw malformedScram('', 'Nonce does not match.');
    const authMessage = `${clientFirst.bare},${serverFirst},${clientFinal.withoutProof}`;
    const { storedKey, serverKey } = this.#verifier;
    const clientKey = xor(clientFinal.proof, hmac(storedKey, authMessage));
    if (!sameBytes(sha256(clientKey), storedKey)) return { ok: false };
    return { ok: true, message: Buffer.from(`v=${hmac(serverKey, authMessage).toString('base64')}`), clientKey };
  }
}

/**
 * The client's half: `first`, `continue`, `verify`, with a password or with the keys that a ScramServer recovered. A login
 * counts only after `verify` returned true: only then has the server shown that it knows the verifier.
 */
export class ScramClient {
  readonly #secret: { readonly password: string } | ScramKeys;
  readonly #nonce: string;
  #signature: Buffer | null = null;

  constructor(secret: { readonly password: string } | ScramKeys, nonce: () => string) {
    this.#secret = secret;
    this.#nonce = nonce();
  }

  /** The user's name stays empty, as libpq leaves it: the startup packet has said it. */
  first(): Buffer {
    return Buffer.from(`n,,${this.#bareFirst}`, 'latin1');
  }

  continue(serverFirstMessage: Buffer): Buffer {
    const serverFirst = serverFirstMessage.toString('latin1');
    const { nonce, salt, iterations } = readServerFirst(serverFirst);
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw malformedScram('', 'The nonce of the server does not extend the nonce of the client.');
    }
    const secret = this.#secret;
    const keys = 'password' in secret ? deriveScramKeys(secret.password, salt, iterations) : secret;
    const withoutProof = `c=biws,r=${nonce}`; // biws = 'n,,'
    const authMessage = `${this.#bareFirst},${serverFirst},${withoutProof}`;
    const proof = xor(keys.clientKey, hmac(sha256(keys.clientKey), authMessage));
    this.#signature = hmac(keys.serverKey, authMessage);
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`, 'latin1');
  }

  verify(serverFinalMessage: Buffer): boolean {
    const signature = readServerFinal(serverFinalMessage);
    return signature !== null && this.#signature !== null && sameBytes(signature, this.#signature);
  }

  get #bareFirst(): string {
    return `n=,r=${this.#nonce}`;
  }
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ b[i]!));
}

/** The answer to AuthenticationMD5Password: 'md5' and 32 hexadecimal digits. */
export function md5Response(user: string, password: string, salt: Buffer): string {
  return `md5${md5(Buffer.concat([Buffer.from(md5(password + user)), salt]))}`;
}

function md5(input: string | Buffer): string {
  return createHash('md5').update(input).digest('hex');
}
