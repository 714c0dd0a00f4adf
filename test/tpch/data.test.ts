import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { generateTable, type TpchTable, tpchTables } from '../../bench/tpch/data/generate.ts';
import { scaleOf } from '../../bench/tpch/data/scale.ts';
import { findFixture } from '../fixtures.ts';

type Rows = readonly (readonly string[])[];

const factor = 0.01;
const generated = new Map(tpchTables.map((table) => [table, rowsOf(generatedText(table, 1))]));
const rows = (table: TpchTable) => generated.get(table)!;

function generatedText(table: TpchTable, seed: number, scaleFactor = factor): string {
  return Buffer.concat([...generateTable(scaleOf(scaleFactor, seed), table)]).toString('latin1');
}

function rowsOf(text: string): Rows {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/\|$/, '').split('|'));
}

const column = (table: Rows, index: number) => table.map((row) => row[index]!);
const numbers = (table: Rows, index: number) => column(table, index).map(Number);
const days = (text: string) => Date.parse(`${text}T00:00:00Z`) / 86_400_000;

describe('generated TPC-H data', () => {
  test('is the same for the same seed, and another for another', () => {
    expect(generatedText('orders', 1, 0.001)).toBe(generatedText('orders', 1, 0.001));
    expect(generatedText('orders', 2, 0.001)).not.toBe(generatedText('orders', 1, 0.001));
  });

  test('has the row counts of the specification', () => {
    const counts = Object.fromEntries(tpchTables.map((table) => [table, rows(table).length]));
    const { lineitem, ...fixed } = counts;
    expect(fixed).toEqual({
      region: 5,
      nation: 25,
      supplier: 100,
      customer: 1500,
      part: 2000,
      partsupp: 8000,
      orders: 15_000,
    });
    expect(lineitem).toBeGreaterThan(59_000);
    expect(lineitem).toBeLessThan(61_000);
  });

  test.each([
    ['partsupp', [0, 1]],
    ['orders', [0]],
    ['lineitem', [0, 3]],
  ] as const)('%s has a primary key', (table, key) => {
    for (const text of [generatedText(table, 1, 0.001), generatedText(table, 1, 0.012), generatedText(table, 3)]) {
      const keys = rowsOf(text).map((row) => key.map((place) => row[place]).join(' '));
      expect(new Set(keys).size).toBe(keys.length);
    }
  });

  test('line items name suppliers of their part and orders that exist', () => {
    const pairs = new Set(rows('partsupp').map(([part, supplier]) => `${part} ${supplier}`));
    const orders = new Set(column(rows('orders'), 0));
    const strays = rows('lineitem').filter(([order, part, supplier]) => {
      return !pairs.has(`${part} ${supplier}`) || !orders.has(order!);
    });
    expect(strays).toEqual([]);
  });

  test("an order's price and state are those of its lines", () => {
    const lines = new Map<string, (readonly string[])[]>();
    for (const row of rows('lineitem')) lines.set(row[0]!, [...(lines.get(row[0]!) ?? []), row]);
    const wrong = rows('orders').filter(([key, , state, price]) => {
      const own = lines.get(key!)!;
      const open = own.filter((row) => row[9] === 'O').length;
      if (state !== (open === 0 ? 'F' : open === own.length ? 'O' : 'P')) return true;
      const sum = own.reduce((total, row) => total + Number(row[5]) * (1 - Number(row[6])) * (1 + Number(row[7])), 0);
      return Math.abs(Number(price) - sum) > 0.02 * own.length;
    });
    expect(wrong).toEqual([]);
  });

  test('a third of the customers has no orders', () => {
    expect(numbers(rows('orders'), 1).filter((customer) => customer % 3 === 0)).toEqual([]);
  });

  test('at a larger scale suppliers are complained about and recommended', () => {
    const comments = column(rowsOf(generatedText('supplier', 1, 0.4)), 6);
    expect(comments.filter((text) => /Customer.*Complaints/.test(text))).toHaveLength(2);
    expect(comments.filter((text) => /Customer.*Recommends/.test(text))).toHaveLength(2);
    expect(Math.max(...comments.map((text) => text.length))).toBeLessThanOrEqual(100);
  });
});

const reference = findFixture('tpch', "TPC-H data checked against the specification's own generator");

describe.skipIf(reference === undefined)('generated TPC-H data beside reference data of the same scale', () => {
  const read = new Map<TpchTable, Rows>();
  const referenceRows = (table: TpchTable) => {
    const known = read.get(table) ?? rowsOf(gunzipSync(readFileSync(join(reference!, `${table}.tbl.gz`))).toString());
    read.set(table, known);
    return known;
  };

  test.each(tpchTables)('%s has as many rows, within 1 %', (table) => {
    const expected = referenceRows(table).length;
    expect(Math.abs(rows(table).length - expected)).toBeLessThanOrEqual(expected / 100);
  });

  test('what follows from keys alone is equal', () => {
    const facts = (from: (table: TpchTable) => Rows) => ({
      nations: from('nation').map((row) => row.slice(0, 3)),
      regions: from('region').map((row) => row.slice(0, 2)),
      prices: from('part').map((row) => [row[0], row[7]]),
      suppliers: from('partsupp').map((row) => row.slice(0, 2)),
      orderKeys: column(from('orders'), 0),
      names: [...column(from('supplier'), 1), ...column(from('customer'), 1)],
    });
    expect(facts(rows)).toEqual(facts(referenceRows));
  });

  test.each([
    ['part', 2, 'p_mfgr'],
    ['part', 3, 'p_brand'],
    ['part', 6, 'p_container'],
    ['part', 4, 'p_type'],
    ['customer', 6, 'c_mktsegment'],
    ['orders', 2, 'o_orderstatus'],
    ['orders', 5, 'o_orderpriority'],
    ['lineitem', 3, 'l_linenumber'],
    ['lineitem', 4, 'l_quantity'],
    ['lineitem', 6, 'l_discount'],
    ['lineitem', 7, 'l_tax'],
    ['lineitem', 8, 'l_returnflag'],
    ['lineitem', 9, 'l_linestatus'],
    ['lineitem', 13, 'l_shipinstruct'],
    ['lineitem', 14, 'l_shipmode'],
  ] as const)('%s column %i (%s) has the same values, about as often', (table, place, _name) => {
    const [ours, theirs] = [shares(rows(table), place), shares(referenceRows(table), place)];
    expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
    for (const [value, share] of theirs) {
      // Five standard deviations of the difference of two samples.
      const slack = 5 * Math.sqrt((2 * share * (1 - share)) / rows(table).length);
      expect(Math.abs(ours.get(value)! - share), value).toBeLessThan(slack);
    }
  });

  test.each([
    ['supplier', 5],
    ['customer', 5],
    ['partsupp', 2],
    ['partsupp', 3],
    ['orders', 3],
    ['lineitem', 5],
    ['lineitem', 1],
  ] as const)('%s column %i has the same range and mean', (table, place) => {
    const [ours, theirs] = [spread(numbers(rows(table), place)), spread(numbers(referenceRows(table), place))];
    const width = theirs.max - theirs.min;
    // Extremes of a sum of up to seven lines are rare; of a uniform draw they are not.
    const slack = table === 'orders' ? 0.2 : 0.03;
    expect(Math.abs(ours.min - theirs.min) / width).toBeLessThan(slack);
    expect(Math.abs(ours.max - theirs.max) / width).toBeLessThan(slack);
    // Five standard deviations of the difference of two means of uniform draws.
    const chance = 5 * Math.sqrt(2 / 12 / rows(table).length);
    expect(Math.abs(ours.mean - theirs.mean) / width).toBeLessThan(Math.max(chance, 0.005));
  });

  test('dates have the same distances', () => {
    const distances = (from: (table: TpchTable) => Rows) => {
      const ordered = new Map(from('orders').map((row) => [row[0], days(row[4]!)]));
      const from0 = (place: number) => from('lineitem').map((row) => days(row[place]!) - ordered.get(row[0])!);
      const delivery = from('lineitem').map((row) => days(row[12]!) - days(row[10]!));
      return [spread([...ordered.values()]), spread(from0(10)), spread(from0(11)), spread(delivery)];
    };
    const [ours, theirs] = [distances(rows), distances(referenceRows)];
    for (const [place, { min, max, mean }] of theirs.entries()) {
      expect([ours[place]!.min, ours[place]!.max]).toEqual([min, max]);
      expect(Math.abs(ours[place]!.mean - mean)).toBeLessThan((max - min) / 50);
    }
  });

  test.each([
    ['orders', 8],
    ['customer', 7],
    ['partsupp', 4],
    ['lineitem', 15],
  ] as const)('comments of %s are as long and have the same frequent words', (table, place) => {
    const [ours, theirs] = [column(rows(table), place), column(referenceRows(table), place)];
    const [own, other] = [spread(ours.map((text) => text.length)), spread(theirs.map((text) => text.length))];
    expect([own.min, own.max]).toEqual([other.min, other.max]);
    const [ownWords, otherWords] = [frequentWords(ours), frequentWords(theirs)];
    for (const [word, share] of [...otherWords].slice(0, 30)) {
      expect(Math.abs((ownWords.get(word) ?? 0) / share - 1), word).toBeLessThan(0.25);
    }
  });

  test.each([
    ["query 13's orders", 'orders', 8, /special.*requests/],
    ["query 9's parts", 'part', 1, /green/],
    ["query 20's parts", 'part', 1, /^forest/],
    ["query 2's parts", 'part', 4, /BRASS$/],
    ["query 14's parts", 'part', 4, /^PROMO/],
  ] as const)('a predicate finds as many of %s', (_, table, place, pattern) => {
    const found = (from: Rows) => column(from, place).filter((text) => pattern.test(text)).length;
    const [ours, theirs] = [found(rows(table)), found(referenceRows(table))];
    expect(theirs).toBeGreaterThan(0);
    expect(Math.abs(ours - theirs)).toBeLessThan(5 * Math.sqrt(2 * theirs));
  });
});

function shares(table: Rows, place: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of column(table, place).map((text) => text.replace(/\.00$/, ''))) {
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return new Map([...counts].map(([value, count]) => [value, count / table.length]));
}

function spread(values: readonly number[]): { min: number; max: number; mean: number } {
  let [min, max, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  return { min, max, mean: sum / values.length };
}

/** The share of each word among all, the most frequent first. */
function frequentWords(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  let total = 0;
  for (const text of texts) {
    // The first and last may be cut.
    for (const word of text.split(/[^a-zA-Z'-]+/).slice(1, -1)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
      total++;
    }
  }
  return new Map([...counts].sort(([, a], [, b]) => b - a).map(([word, count]) => [word, count / total]));
}
