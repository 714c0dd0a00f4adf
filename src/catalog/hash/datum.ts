import type { Hash64 } from './hash64.ts';

/** The wire form of a value of the key's own type, text (0) or binary (1); null is NULL. */
export type KeyValue = { readonly format: 0 | 1; readonly bytes: Buffer } | null;

/**
 * A decoded key: scratch that a router owns and fills again for each row, so that the hot path allocates nothing. Which
 * fields count depends on the type:
 * - integers, dates, times, timestamps: a signed 64-bit number, `high` (signed) and `low` (unsigned 32 bits)
 * - text, uuid, bytea, addresses: `bytes[start, end)`, as PostgreSQL hashes them
 * - float: `number`
 * - numeric: base-10000 digits as little-endian int16 in `bytes[start, end)` without zeros at either end, the weight of the
 *   first in `number`, `low`: the class (see numeric.ts)
 * - interval: the low 64 bits of the span in `high`/`low`, the rest in `number`
 * - timetz: the time in `high`/`low`, seconds west of Greenwich in `number`
 */
export interface KeyDatum {
  high: number;
  low: number;
  number: number;
  bytes: Buffer;
  start: number;
  end: number;
  /** 16 bytes of the datum's own, made when `bytes` must first be made from text. */
  scratch: Buffer | null;
}

export function emptyDatum(): KeyDatum {
  return { high: 0, low: 0, number: 0, bytes: noBytes, start: 0, end: 0, scratch: null };
}

const noBytes = Buffer.alloc(0);

/** All that routing must know of a type. */
export interface KeyType {
  /** False: only PostgreSQL can tell what this text means (or that it is an error). */
  decode(format: 0 | 1, bytes: Buffer, into: KeyDatum): boolean;
  /** The type's extended hash function with the seed of partitioning. */
  hash(datum: KeyDatum, out: Hash64): void;
  /** Equal values, and only these, have the same. */
  identity(datum: KeyDatum): string | number;
  /** The order of the type's btree class, for collatable types that of "C"; absent where only PostgreSQL knows it. */
  readonly compare?: (a: KeyDatum, b: KeyDatum) => number;
}
