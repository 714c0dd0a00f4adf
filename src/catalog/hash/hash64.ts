/**
 * An unsigned 64-bit number as two unsigned 32-bit halves: BigInt costs about twenty times as much. Routers keep one and
 * fill it again for every row.
 */
export interface Hash64 {
  high: number;
  low: number;
}

export function zeroHash(): Hash64 {
  return { high: 0, low: 0 };
}

/** HASH_PARTITION_SEED (partdefs.h): 0x7A5B22367996DCFD. */
export const partitionSeed: Readonly<Hash64> = { high: 0x7a5b2236, low: 0x7996dcfd };

/** The same as a signed SQL bigint, the second argument of every extended hash function. */
export const partitionSeedSql = '8816678312871386365';

/** The largest modulus whose remainder is exact in a double: see remainderOf. */
export const maxModulus = 2 ** 20;

/** hash_combine64 (hashfn.h): row ^= hash + 0x49a0f4dd15e5a8e3 + (row << 54) + (row >> 7). */
export function combineInto(row: Hash64, hash: Readonly<Hash64>): void {
  const low = hash.low + 0x15e5a8e3 + (((row.low >>> 7) | (row.high << 25)) >>> 0);
  const carry = Math.floor(low / 0x1_0000_0000);
  const high = hash.high + 0x49a0f4dd + ((row.low << 22) >>> 0) + (row.high >>> 7) + carry;
  row.low = (row.low ^ low) >>> 0;
  row.high = (row.high ^ high) >>> 0;
}

/** hash mod m, for m up to 2^20: (2^20 - 1) * 2^32 + 2^32 - 1 < 2^53. Powers of two need the low half only. */
export function remainderOf(hash: Readonly<Hash64>, modulus: number): number {
  if ((modulus & (modulus - 1)) === 0) return hash.low & (modulus - 1);
  return ((hash.high % modulus) * 0x1_0000_0000 + hash.low) % modulus;
}

/** What PostgreSQL's functions give for it as a signed bigint. */
export function toSignedBigInt(hash: Readonly<Hash64>): bigint {
  return BigInt.asIntN(64, (BigInt(hash.high) << 32n) | BigInt(hash.low));
}

/** The inverse, from the text of a bigint. */
export function parseSignedBigInt(text: string): Hash64 {
  const bits = BigInt.asUintN(64, BigInt(text));
  return { high: Number(bits >> 32n), low: Number(bits & 0xffff_ffffn) };
}
