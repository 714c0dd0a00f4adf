import { assert } from '../core/assert.ts';
import { maxModulus } from './hash/hash64.ts';
import type { ColocationGroup } from './snapshot.ts';

/** Of a HASH group: shard indexes by remainder. All its shards have the same modulus, which is their count. */
export function shardsByRemainder({ shards }: ColocationGroup): number[] {
  assert(shards.length > 0 && shards.length <= maxModulus, 'a hash group has 1 to 2^20 shards');
  const indexes = new Array<number>(shards.length).fill(-1);
  for (const { index, bounds } of shards) {
    assert(bounds.kind === 'hash' && bounds.modulus === shards.length, 'hash shards have one modulus, their count');
    indexes[bounds.remainder] = index;
  }
  assert(!indexes.includes(-1) && indexes.length === shards.length, 'each remainder has one shard');
  return indexes;
}

/** The shard that takes what no other takes. */
export function defaultShard({ shards }: ColocationGroup): number | 'none' {
  return shards.find(({ bounds }) => bounds.kind === 'default')?.index ?? 'none';
}
