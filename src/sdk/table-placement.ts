import { assert } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import { checkCount, type Placement } from './placement.ts';
import { keyText, type ShardKey } from './shard-key.ts';

/** From `from`, inclusive, up to the next range's `from`, or `to`, exclusive. */
export interface KeyRange {
  /** Absent: from the very first. */
  readonly from?: ShardKey;
  /** Absent: to the very last. */
  readonly to?: ShardKey;
  readonly shard: number;
}

/** By ranges that don't overlap, all of numbers or all of text; text is ordered by its UTF-8 bytes, as in collation "C". */
export function rangePlacement(shardCount: number, ranges: readonly KeyRange[]): Placement {
  checkCount(shardCount);
  const sorted = [...ranges].sort((a, b) =>
    a.from === undefined ? -1 : b.from === undefined ? 1 : compare(a.from, b.from),
  );
  sorted.forEach((range, i) => {
    checkShard(range.shard, shardCount);
    const next = sorted[i + 1];
    if (range.from !== undefined && range.to !== undefined)
      assert(compare(range.from, range.to) < 0, 'a range begins before it ends');
    if (next === undefined) return;
    assert(
      next.from !== undefined && range.to !== undefined,
      'only the first range has no beginning, only the last no end',
    );
    assert(compare(range.to, next.from) <= 0, 'ranges do not overlap');
  });
  return {
    name: 'range',
    shardCount,
    shardOf(key) {
      const range = sorted.findLast(({ from }) => from === undefined || compare(from, key) <= 0);
      if (range === undefined || (range.to !== undefined && compare(key, range.to) >= 0)) throw noShard(key);
      return range.shard;
    },
  };
}

/** By lists of values; `otherwise` takes the rest. A number and its text are the same value. */
export function listPlacement(
  shardCount: number,
  lists: readonly { readonly values: readonly ShardKey[]; readonly shard: number }[],
  otherwise?: number,
): Placement {
  checkCount(shardCount);
  const shards = new Map<string, number>();
  for (const { values, shard } of lists) {
    checkShard(shard, shardCount);
    for (const value of values) {
      assert(!shards.has(keyText(value)), `"${value}" stands in one list only`);
      shards.set(keyText(value), shard);
    }
  }
  if (otherwise !== undefined) checkShard(otherwise, shardCount);
  return {
    name: 'list',
    shardCount,
    shardOf(key) {
      const shard = shards.get(keyText(key)) ?? otherwise;
      if (shard === undefined) throw noShard(key);
      return shard;
    },
  };
}

function compare(a: ShardKey, b: ShardKey): number {
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (typeof a !== 'string' && typeof b !== 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw pgError('datatypeMismatch', 'a number and a text have no order: the keys of ranges are of one kind');
}

function checkShard(shard: number, shardCount: number): void {
  assert(Number.isInteger(shard) && shard >= 0 && shard < shardCount, `there is no shard ${shard}`);
}

function noShard(key: ShardKey) {
  return pgError('invalidParameterValue', `no shard takes the key "${key}"`);
}
