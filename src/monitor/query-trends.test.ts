import { expect, test } from 'vitest';
import { QueryTrends } from './query-trends.ts';

const measured = (calls: number, totalMs: number, id = '1') => ({
  ...{ id, query: 'SELECT $1', rung: 'local', calls, totalMs, maxMs: 9 },
});

test('a trend has the calls and the mean between readings, and begins anew after a reset', () => {
  const trends = new QueryTrends(10);
  trends.note([measured(2, 10)], 1);
  trends.note([measured(4, 40)], 2);
  trends.note([measured(4, 40)], 3);
  const [statement] = trends.statements;
  expect(statement).toMatchObject({ calls: 4, meanMs: 10 });
  expect(statement!.trend).toEqual([
    { atMs: 1, calls: 2, meanMs: 5 },
    { atMs: 2, calls: 2, meanMs: 15 },
    { atMs: 3, calls: 0, meanMs: null },
  ]);
  trends.note([measured(1, 3)], 4);
  expect(trends.statements[0]!.trend).toEqual([{ atMs: 4, calls: 1, meanMs: 3 }]);
});

test('only those that cost most are kept', () => {
  const trends = new QueryTrends(2);
  trends.note([measured(1, 1, 'a'), measured(1, 3, 'b'), measured(1, 2, 'c')], 1);
  expect(trends.statements.map(({ id }) => id)).toEqual(['b', 'c']);
});
