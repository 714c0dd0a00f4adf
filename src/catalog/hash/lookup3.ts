import { type Hash64, partitionSeed } from './hash64.ts';

/*
 * PostgreSQL's hash of byte strings and 32-bit numbers (src/common/hashfn.c, after Bob Jenkins' lookup3), always with the
 * seed of partitioning, read as on little-endian machines. Bitwise operators of JavaScript work on 32 bits; additions stay
 * far below 2^53 between them.
 */

/** hash_bytes_extended of `bytes[start, end)`. */
export function hashBytes(bytes: Uint8Array, start: number, end: number, out: Hash64): void {
  let a = initialState(end - start);
  let b = a;
  let c = a;
  a = (a + partitionSeed.high) | 0;
  b = (b + partitionSeed.low) | 0;

  // mix()
  a = (a - c) ^ ((c << 4) | (c >>> 28));
  c = (c + b) | 0;
  b = (b - a) ^ ((a << 6) | (a >>> 26));
  a = (a + c) | 0;
  c = (c - b) ^ ((b << 8) | (b >>> 24));
  b = (b + a) | 0;
  a = (a - c) ^ ((c << 16) | (c >>> 16));
  c = (c + b) | 0;
  b = (b - a) ^ ((a << 19) | (a >>> 13));
  a = (a + c) | 0;
  c = (c - b) ^ ((b << 4) | (b >>> 28));
  b = (b + a) | 0;

  let i = start;
  for (; end - i >= 12; i += 12) {
    a = (a + word(bytes, i)) | 0;
    b = (b + word(bytes, i + 4)) | 0;
    c = (c + word(bytes, i + 8)) | 0;
    // mix()
    a = (a - c) ^ ((c << 4) | (c >>> 28));
    c = (c + b) | 0;
    b = (b - a) ^ ((a << 6) | (a >>> 26));
    a = (a + c) | 0;
    c = (c - b) ^ ((b << 8) | (b >>> 24));
    b = (b + a) | 0;
    a = (a - c) ^ ((c << 16) | (c >>> 16));
    c = (c + b) | 0;
    b = (b - a) ^ ((a << 19) | (a >>> 13));
    a = (a + c) | 0;
    c = (c - b) ^ ((b << 4) | (b >>> 28));
    b = (b + a) | 0;
  }

  const left = end - i;
  // The lowest byte of c is left out: it belongs to the length.
  if (left > 8) c = (c + (tail(bytes, i + 8, left - 8) << 8)) | 0;
  if (left > 4) b = (b + (left >= 8 ? word(bytes, i + 4) : tail(bytes, i + 4, left - 4))) | 0;
  if (left > 0) a = (a + (left >= 4 ? word(bytes, i) : tail(bytes, i, left))) | 0;
  finish(a, b, c, out);
}

/** hash_bytes_uint32_extended. */
export function hashUint32(value: number, out: Hash64): void {
  finish((uint32Start.a + value) | 0, uint32Start.b, uint32Start.c, out);
}

function initialState(lengthBytes: number): number {
  return (0x9e3779b9 + lengthBytes + 3923095) | 0;
}

/** Four bytes, least significant first. */
function word(bytes: Uint8Array, i: number): number {
  return bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
}

/** One to three bytes. */
function tail(bytes: Uint8Array, i: number, count: number): number {
  const low = bytes[i]!;
  if (count === 1) return low;
  return count === 2 ? low | (bytes[i + 1]! << 8) : low | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16);
}

/** final() of hashfn.c; the 64-bit hash is b and c. */
function finish(a: number, b: number, c: number, out: Hash64): void {
  c = (c ^ b) - ((b << 14) | (b >>> 18));
  a = (a ^ c) - ((c << 11) | (c >>> 21));
  b = (b ^ a) - ((a << 25) | (a >>> 7));
  c = (c ^ b) - ((b << 16) | (b >>> 16));
  a = (a ^ c) - ((c << 4) | (c >>> 28));
  b = (b ^ a) - ((a << 14) | (a >>> 18));
  c = (c ^ b) - ((b << 24) | (b >>> 8));
  out.high = b >>> 0;
  out.low = c >>> 0;
}

/** The state before a 32-bit number is added depends on the seed alone. */
const uint32Start = startOfUint32();

function startOfUint32(): { readonly a: number; readonly b: number; readonly c: number } {
  let a = initialState(4);
  let b = a;
  let c = a;
  a = (a + partitionSeed.high) | 0;
  b = (b + partitionSeed.low) | 0;
  const rotate = (value: number, bits: number) => (value << bits) | (value >>> (32 - bits));
  for (const [first, second, third] of [
    [4, 6, 8],
    [16, 19, 4],
  ] as const) {
    a = (a - c) ^ rotate(c, first);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, second);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, third);
    b = (b + a) | 0;
  }
  return { a, b, c };
}
