import { describe, expect, test } from 'vitest';
import { compareOutcomes } from '../oracle/compare.ts';
import type { Result } from '../oracle/outcome.ts';
import { createFreeIds } from './changes.ts';
import { Random } from './random.ts';
import { requestOf } from './run-unit.ts';
import { shrinkList, shrinkUnit } from './shrink.ts';
import { anyUnit, type Unit } from './units.ts';

const textOf = (unit: Unit) => unit.statements.map((statement) => requestOf(unit, statement).text).join('; ');

function unitsOf(seed: number, count: number): Unit[] {
  const generator = { random: new Random(seed), ids: createFreeIds(), seed };
  return Array.from({ length: count }, () => anyUnit(generator));
}

describe('the generator', () => {
  test('gives the same statements for the same seed and others for another', () => {
    expect(unitsOf(1, 50).map(textOf)).toEqual(unitsOf(1, 50).map(textOf));
    expect(unitsOf(1, 50).map(textOf)).not.toEqual(unitsOf(2, 50).map(textOf));
  });

  test('uses what it is meant to test', () => {
    const all = unitsOf(3, 3000).map(textOf).join('\n');
    for (const word of [
      ...[
        'LEFT JOIN',
        'RIGHT JOIN',
        'FULL JOIN',
        'CROSS JOIN',
        'NATURAL',
        'USING',
        'LATERAL',
        'UNION',
        'INTERSECT ALL',
      ],
      ...['EXCEPT', 'RECURSIVE', 'OVER (', 'ROLLUP', 'CUBE', 'GROUPING SETS', 'FILTER', 'HAVING', 'DISTINCT ON'],
      ...[
        'generate_series',
        'EXISTS',
        'NOT IN',
        'ANY (',
        'FOR UPDATE',
        'ON CONFLICT',
        'RETURNING',
        'MERGE',
        'SAVEPOINT',
      ],
      ...['LIMIT', 'OFFSET', 'DECLARE', '$1', '::mood', 'VALUES', 'v_join', 'NULL'],
    ])
      expect(all).toContain(word);
  });
});

describe('shrinking', () => {
  const everywhere: readonly [string, RegExp, number][] = [
    ['a join', /LEFT JOIN/, 140],
    ['a window', /OVER \(/, 200],
    ['a set operation', /EXCEPT/, 150],
    ['a grouping', /GROUP BY/, 120],
    ['a subquery', /EXISTS \(/, 140],
  ];

  test.each(everywhere)('keeps little more than what fails: %s', async (_, pattern, longest) => {
    const failing = unitsOf(4, 2000).filter((unit) => pattern.test(textOf(unit)));
    expect(failing.length).toBeGreaterThan(10);
    const lengths = [];
    for (const unit of failing.slice(0, 30)) {
      const small = await shrinkUnit(
        unit,
        async (candidate) => pattern.test(textOf(candidate)),
        () => false,
      );
      expect(small.statements.length).toBe(1);
      lengths.push(textOf(small).length);
    }
    expect(lengths.sort((a, b) => a - b)[15]).toBeLessThan(longest);
  });

  test('finds the few of a list that matter', async () => {
    const items = Array.from({ length: 50 }, (_, index) => index);
    const needed = async (some: readonly number[]) => some.includes(7) && some.includes(31);
    expect(await shrinkList(items, needed, () => false)).toEqual([7, 31]);
  });
});

describe('the comparison', () => {
  const result = (type: number, ...values: (string | null)[]): Result => ({
    kind: 'result',
    command: 'SELECT',
    rowCount: values.length,
    fields: [{ name: 'x', type }],
    rows: values.map((value) => [value]),
  });
  const differs = (a: Result, b: Result, order: 'none' | 'total' = 'none') =>
    compareOutcomes(a, b, order) !== undefined;

  test('tells duplicates, order, NULL and types apart', () => {
    expect(differs(result(23, '1', '2', '2'), result(23, '2', '1', '2'))).toBe(false);
    expect(differs(result(23, '1', '2', '2'), result(23, '1', '1', '2'))).toBe(true);
    expect(differs(result(23, '1', '2'), result(23, '2', '1'), 'total')).toBe(true);
    expect(differs(result(25, null), result(25, ''))).toBe(true);
    expect(differs(result(23, '1'), result(20, '1'))).toBe(true);
    expect(differs(result(23, '1'), result(23, '1', '1'))).toBe(true);
    expect(compareOutcomes(result(23, '2', '1'), result(23, '1', '2'), { columns: [0] })).toContain('order');
  });

  test('forgives the last digits of floats, not of numerics', () => {
    expect(differs(result(701, '0.1', null, '3'), result(701, '3', '0.10000000000000001', null))).toBe(false);
    expect(differs(result(701, '0.1'), result(701, '0.10000001'))).toBe(true);
    expect(differs(result(1700, '1.0'), result(1700, '1.00'))).toBe(true);
  });
});
