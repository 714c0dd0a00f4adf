import type { Node } from '@pgsql/types';
import { expect, test } from 'vitest';
import { figureColumnName } from './column-name.ts';
import { parseStatements } from './parse.ts';

/** What PostgreSQL 18 answers as the column's name. */
const names: readonly [string, string][] = [
  ['a', 'a'],
  ['t.a', 'a'],
  ['(t).a', 'a'],
  ['a[1]', 'a'],
  ['1', '?column?'],
  ["'x'", '?column?'],
  ['now()', 'now'],
  ['current_date', 'current_date'],
  ['1::int', 'int4'],
  ['a::int', 'a'],
  ['lower(a)::text', 'lower'],
  ["date '2020-01-01'", 'date'],
  ['a + 1', '?column?'],
  ['count(*)', 'count'],
  ['coalesce(a, 1)', 'coalesce'],
  ['nullif(a, 1)', 'nullif'],
  ['greatest(1, 2)', 'greatest'],
  ['case when a then b end', 'case'],
  ['case when a then 1 else b end', 'b'],
  ['exists (select 1)', 'exists'],
  ['array(select 1)', 'array'],
  ['array[1]', 'array'],
  ['row(1)', 'row'],
  ['(select x from t)', 'x'],
  ['(select 1)', '?column?'],
  ['a is null', '?column?'],
  ['extract(year from a)', 'extract'],
  ['a collate "C"', 'a'],
  ['xmlelement(name a)', 'xmlelement'],
  ['user', 'user'],
];

test.each(names)('%s is called %s', (expression, name) => {
  const { node } = parseStatements(`SELECT ${expression}`)[0]!;
  const [target] = 'SelectStmt' in node ? (node.SelectStmt.targetList ?? []) : [];
  const value = target && 'ResTarget' in target ? target.ResTarget.val : undefined;
  expect(figureColumnName(value as Node)).toBe(name);
});
