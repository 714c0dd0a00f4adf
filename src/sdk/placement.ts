import { createHash } from 'node:crypto';
import { assert } from '../core/assert.ts';
import { keyText, type ShardKey } from './shard-key.ts';

/** Which shard a key belongs to: pure, and the same in every process and at every time. */
export interface Placement {
  readonly name: string;
  readonly shardCount: number;
  /** 0 … shardCount - 1. Throws PgError 22023 for a key that no shard takes. */
  shardOf(key: ShardKey): number;
}

const maxShards = 65_536;

/** Python's `int(hashlib.md5(key.encode()).hexdigest(), 16) % n`. */
export function md5Modulo(shardCount: number): Placement {
  checkCount(shardCount);
  return {
    name: 'md5-modulo',
    shardCount,
    shardOf(key) {
      const digest = md5(key);
      let remainder = 0;
      // Four 32-bit digits: (2^16 - 1) * 2^32 + 2^32 - 1 < 2^53.
      for (let i = 0; i < 16; i += 4) remainder = (remainder * 0x1_0000_0000 + digest.readUInt32BE(i)) % shardCount;
      return remainder;
    },
  };
}

/**
 * Jump consistent hash (Lamping and Veach, 2014): from n to n + 1 shards only one key in n + 1 moves, and only to the new shard. The
 * key's 64 bits are the first half of its md5.
 */
export function jumpHash(shardCount: number): Placement {
  checkCount(shardCount);
  return { name: 'jump', shardCount, shardOf: (key) => jump(md5(key).readBigUInt64BE(0), shardCount) };
}

function jump(key: bigint, buckets: number): number {
  let bucket = -1;
  for (let next = 0; next < buckets; ) {
    bucket = next;
    key = BigInt.asUintN(64, key * 2_862_933_555_777_941_757n + 1n);
    next = Math.floor((bucket + 1) * (0x8000_0000 / (Number(key >> 33n) + 1)));
  }
  return bucket;
}

function md5(key: ShardKey): Buffer {
  return createHash('md5').update(keyText(key)).digest();
}

export function checkCount(shardCount: number): void {
  assert(Number.isInteger(shardCount) && shardCount >= 1 && shardCount <= maxShards, 'there are 1 to 65536 shards');
}
