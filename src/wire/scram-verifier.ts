import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { saslprep } from './saslprep.ts';

/** Of SHA-256, so of every key, signature and proof here. */
export const keyBytes = 32;

/**
 * Hashing is synchronous: a verifier or server that asks for more would hold up every session. PostgreSQL's default is
 * 4,096 (about 2 ms), this bound about half a second.
 */
export const maxIterations = 1_000_000;
const defaultIterations = 4096;
const mockSaltBytes = 16;

/** What a server keeps of a password (RFC 5803; `pg_authid.rolpassword`). Proves nothing to another server. */
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** What logs in without the password, wherever the verifier is the same: as good as the password there. */
export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly serverKey: Buffer;
}

/** Reads `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`; null for anything else (an md5 password, none, a broken one). */
export function parseScramVerifier(text: string): ScramVerifier | null {
  const parts = /^SCRAM-SHA-256\$(\d{1,7}):([^$]+)\$([^:]+):(.+)$/.exec(text);
  if (parts === null) return null;
  const iterations = Number(parts[1]);
  const salt = decodeBase64(parts[2]!);
  const storedKey = decodeBase64(parts[3]!);
  const serverKey = decodeBase64(parts[4]!);
  if (iterations < 1 || salt === null || storedKey?.length !== keyBytes || serverKey?.length !== keyBytes) return null;
  return { iterations, salt, storedKey, serverKey };
}

export function buildScramVerifier(password: string, salt: Buffer, iterations: number = defaultIterations): string {
  const { clientKey, serverKey } = deriveScramKeys(password, salt, iterations);
  const keys = `${sha256(clientKey).toString('base64')}:${serverKey.toString('base64')}`;
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${keys}`;
}

/**
 * A verifier for a role that does not exist, or has no password: nobody can know a client key for its stored key. The same
 * user gets the same salt each time, so that asking twice does not tell who exists. `secret` stays the same for as long as
 * salts shall.
 */
export function mockVerifier(
  user: string,
  secret: Buffer | string,
  iterations: number = defaultIterations,
): ScramVerifier {
  const derive = (purpose: string) => createHmac('sha256', secret).update(`${purpose}\0${user}`).digest();
  return {
    iterations,
    salt: derive('salt').subarray(0, mockSaltBytes),
    storedKey: derive('stored'),
    serverKey: derive('server'),
  };
}

/** The slow part (RFC 5802, section 3): SaltedPassword and the two keys from it. */
export function deriveScramKeys(password: string, salt: Buffer, iterations: number): ScramKeys {
  const salted = pbkdf2Sync(saslprep(password), salt, iterations, keyBytes, 'sha256');
  return { clientKey: hmac(salted, 'Client Key'), serverKey: hmac(salted, 'Server Key') };
}

export function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** `message` is taken byte for byte (latin1): what was signed is what came over the wire, whatever its encoding. */
export function hmac(key: Buffer, message: string): Buffer {
  return createHmac('sha256', key).update(message, 'latin1').digest();
}

export function sameBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Null where Node's own decoder would skip what is not base64. */
export function decodeBase64(text: string): Buffer | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return null;
  return Buffer.from(text, 'base64');
}
