import fc from 'fast-check';
import { expect, test } from 'vitest';
import { typeOids } from './hash/key-types.ts';
import { type KeyValue, shardIndex } from './route.ts';
import type { ColocationGroup, DistributionMethod, KeyColumn, ShardBounds } from './snapshot.ts';

const key = (type: keyof typeof typeOids, bytewise = true): KeyColumn => ({
  ...{ name: 'k', attnum: 1, typeOid: typeOids[type], typeName: type, family: type, collation: null, bytewise },
});

function group(method: DistributionMethod, bounds: readonly ShardBounds[]): ColocationGroup {
  return { id: 1, method, families: [], shards: bounds.map((each, index) => ({ index, nodeId: 1, bounds: each })) };
}

const hashGroup = (modulus: number) =>
  group(
    'hash',
    Array.from({ length: modulus }, (_, remainder) => ({ kind: 'hash', modulus, remainder })),
  );
const value = (text: string | null): KeyValue => (text === null ? null : { format: 0, bytes: Buffer.from(text) });

test('two columns are combined, and NULL contributes nothing', () => {
  const keys = [key('int4'), key('text')];
  // satisfies_hash_partition(…, 32, 10, 42, 'hello') is true.
  expect(shardIndex(hashGroup(32), keys, [value('42'), value('hello')])).toBe(10);
  const three = [...keys, key('int4')];
  expect(shardIndex(hashGroup(4997), three, [value('42'), value('hello'), value('7')])).toBe(3048);
  expect(shardIndex(hashGroup(32), keys, [value(null), value('hello')])).toBe(
    shardIndex(hashGroup(32), [key('text')], [value('hello')]),
  );
  expect(shardIndex(hashGroup(32), keys, [value(null), value(null)])).toBe(0);
});

test('every modulus gives a remainder below it, and powers of two agree with their multiples', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 5000 }), (text, modulus) => {
      const shard = shardIndex(hashGroup(modulus), [key('text')], [value(text)]);
      expect(shard).toBeGreaterThanOrEqual(0);
      expect(shard).toBeLessThan(modulus);
      const triple = shardIndex(hashGroup(modulus * 3), [key('text')], [value(text)]);
      expect(Number(triple) % modulus).toBe(shard);
    }),
    { numRuns: 50 },
  );
});

test('text in a linguistic order is not routed by RANGE', () => {
  const ranges = group('range', [{ kind: 'range', from: null, to: 'm' }, { kind: 'default' }]);
  expect(shardIndex(ranges, [key('text')], [value('a')])).toBe(0);
  expect(shardIndex(ranges, [key('text', false)], [value('a')])).toBe('ask');
  expect(shardIndex(ranges, [key('text', false)], [value(null)])).toBe(1);
});

test('bounds in a form that TypeScript does not know make every value a question', () => {
  const ranges = group('range', [{ kind: 'range', from: 'Jan 1, 2024', to: null }]);
  expect(shardIndex(ranges, [key('date')], [value('2024-02-01')])).toBe('ask');
  const lists = group('list', [{ kind: 'list', values: ['Jan 1, 2024'] }]);
  expect(shardIndex(lists, [key('date')], [value('2024-02-01')])).toBe('ask');
});
