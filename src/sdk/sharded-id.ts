import { randomBytes } from 'node:crypto';
import { assert } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import { checkCount, type Placement } from './placement.ts';

const maxShards = 4096;

/**
 * An id that says which shard its row is on: a UUID of version 8 (RFC 9562, 5.8) for a column of type uuid. 48 bits of milliseconds
 * since 1970, so that later ids sort behind; 12 bits of shard; 62 random bits, so that processes need not agree on anything.
 */
export function newShardedId(
  shard: number,
  nowMs = Date.now(),
  random: (bytes: number) => Buffer = randomBytes,
): string {
  assert(Number.isInteger(shard) && shard >= 0 && shard < maxShards, 'an id carries a shard from 0 to 4095');
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.writeUInt16BE(0x8000 | shard, 6);
  random(8).copy(bytes, 8);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-8([0-9a-f]{3})-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** The shard that an id carries. Throws PgError 22023 for what `newShardedId` didn't make. */
export function shardOfId(id: string): number {
  const match = form.exec(id);
  if (match === null) throw pgError('invalidParameterValue', `"${id}" is no id that carries its shard`);
  return Number.parseInt(match[1]!, 16);
}

/** Rows are where their ids say. */
export function carriedShard(shardCount: number): Placement {
  checkCount(shardCount);
  return {
    name: 'carried',
    shardCount,
    shardOf(key) {
      const shard = shardOfId(String(key));
      if (shard >= shardCount)
        throw pgError('invalidParameterValue', `there is no shard ${shard}, which "${key}" names`);
      return shard;
    },
  };
}
