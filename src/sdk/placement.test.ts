import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jumpHash, md5Modulo } from './placement.ts';
import { postgresHash } from './postgres-placement.ts';
import { carriedShard, newShardedId, shardOfId } from './sharded-id.ts';
import { listPlacement, rangePlacement } from './table-placement.ts';

test("md5-modulo gives Python's int(hashlib.md5(key.encode()).hexdigest(), 16) % n", () => {
  const printed: [string, number[]][] = [
    ['user_001', [0, 0, 16, 46032]],
    ['user_002', [0, 1, 4, 60836]],
    ['', [0, 0, 30, 17022]],
    ['用户', [0, 1, 11, 65227]],
    ['42', [0, 1, 6, 22694]],
  ];
  for (const [key, shards] of printed) {
    expect([1, 3, 32, 65_536].map((n) => md5Modulo(n).shardOf(key))).toEqual(shards);
  }
});

test('md5-modulo is exact for every number of shards', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 65_536 }), (key, n) => {
      const digest = BigInt(`0x${md5Hex(key)}`);
      expect(md5Modulo(n).shardOf(key)).toBe(Number(digest % BigInt(n)));
    }),
  );
});

test('with one shard more, jump hash moves keys to the new shard only, and about its share', () => {
  const keys = Array.from({ length: 4_000 }, (_, i) => `user_${i}`);
  for (const n of [1, 2, 7, 31]) {
    const [before, after] = [jumpHash(n), jumpHash(n + 1)];
    const moved = keys.filter((key) => before.shardOf(key) !== after.shardOf(key));
    expect(moved.every((key) => after.shardOf(key) === n)).toBe(true);
    expect(Math.abs(moved.length - keys.length / (n + 1))).toBeLessThan(200);
  }
});

test('a range takes its beginning and not its end, and what no range takes is an error', () => {
  const byYear = rangePlacement(3, [
    { to: 2020, shard: 0 },
    { from: 2020, to: 2025, shard: 1 },
    { from: 2030, shard: 2 },
  ]);
  expect([1999, 2020, 2024n, 2030].map((key) => byYear.shardOf(key))).toEqual([0, 1, 1, 2]);
  expect(() => byYear.shardOf(2025)).toThrow('no shard takes the key "2025"');
  const byName = rangePlacement(2, [
    { to: 'm', shard: 0 },
    { from: 'm', shard: 1 },
  ]);
  expect(['Zoe', 'anna', 'm', 'ärger'].map((key) => byName.shardOf(key))).toEqual([0, 0, 1, 1]);
  expect(() => byName.shardOf(7)).toThrow('have no order');
  expect(() =>
    rangePlacement(2, [
      { from: 1, to: 5, shard: 0 },
      { from: 4, shard: 1 },
    ]),
  ).toThrow('overlap');
});

test('a list takes its values, and the rest goes where it is told or nowhere', () => {
  const lists = [
    { values: ['de', 'at'], shard: 0 },
    { values: ['fr'], shard: 1 },
  ];
  expect(listPlacement(3, lists, 2).shardOf('nl')).toBe(2);
  expect(listPlacement(2, lists).shardOf('at')).toBe(0);
  expect(() => listPlacement(2, lists).shardOf('nl')).toThrow('no shard takes the key "nl"');
});

test('an id carries its shard, and later ids sort behind earlier ones', () => {
  const early = newShardedId(31, 1_700_000_000_000);
  const late = newShardedId(0, 1_700_000_000_001);
  expect(early).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-801f-[89ab]/);
  expect(early < late).toBe(true);
  expect(carriedShard(32).shardOf(early)).toBe(31);
  expect(() => carriedShard(16).shardOf(early)).toThrow('there is no shard 31');
  expect(() => shardOfId('0190163d-8694-739b-aea5-966c26f8ad91')).toThrow('carries its shard');
});

test('keys that are not exact are refused', () => {
  expect(() => md5Modulo(4).shardOf(2 ** 60)).toThrow('no exact whole number');
  expect(() => postgresHash(4, 'int4').shardOf('seven')).toThrow("can't be read as int4");
});

function md5Hex(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
