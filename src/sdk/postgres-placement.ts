import { emptyDatum } from '../catalog/hash/datum.ts';
import { combineInto, remainderOf, zeroHash } from '../catalog/hash/hash64.ts';
import { keyTypeOf, typeOids } from '../catalog/hash/key-types.ts';
import { assert } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import { checkCount, type Placement } from './placement.ts';
import { keyText } from './shard-key.ts';

export type KeyTypeName = 'int2' | 'int4' | 'int8' | 'text' | 'varchar' | 'uuid' | 'numeric' | 'date' | 'timestamptz';

/**
 * PostgreSQL's own hash: shard k is the partition FOR VALUES WITH (MODULUS n, REMAINDER k) of a table PARTITION BY HASH over a column of
 * this type. What pgherd's router uses too.
 */
export function postgresHash(shardCount: number, type: KeyTypeName): Placement {
  checkCount(shardCount);
  const keyType = keyTypeOf(typeOids[type]);
  assert(keyType !== undefined, 'the type has a hash that is known here');
  const datum = emptyDatum();
  return {
    name: `postgres-hash of ${type}`,
    shardCount,
    shardOf(key) {
      const text = keyText(key);
      if (!keyType.decode(0, Buffer.from(text), datum)) throw noSuchKey(text, type);
      const hash = zeroHash();
      keyType.hash(datum, hash);
      const row = zeroHash();
      combineInto(row, hash);
      return remainderOf(row, shardCount);
    },
  };
}

function noSuchKey(text: string, type: string) {
  return pgError('invalidParameterValue', `"${text}" can't be read as ${type} here`, {
    hint: "Write it as PostgreSQL's output does.",
  });
}
