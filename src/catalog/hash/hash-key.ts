import { emptyDatum, type KeyValue } from './datum.ts';
import { type Hash64, zeroHash } from './hash64.ts';
import { keyTypeOf } from './key-types.ts';

/**
 * The partition hash of one value: the type's extended hash function with HASH_PARTITION_SEED. 'ask': TypeScript does not
 * know the type, or cannot be sure how PostgreSQL reads this text.
 */
export function hashKey(typeOid: number, value: NonNullable<KeyValue>): Hash64 | 'ask' {
  const type = keyTypeOf(typeOid);
  const datum = emptyDatum();
  if (!type?.decode(value.format, value.bytes, datum)) return 'ask';
  const hash = zeroHash();
  type.hash(datum, hash);
  return hash;
}
