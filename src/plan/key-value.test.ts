import type { Node } from '@pgsql/types';
import { expect, test } from 'vitest';
import { parseStatements } from '../sql/parse.ts';
import type { PlanContext, PlannedParameter } from './context.ts';
import { comparedValue } from './key-value.ts';

const int4 = 23;
const int8 = 20;
const text = 25;
const numeric = 1700;
const date = 1082;

function textOf(expression: string, typeOid: number, parameters: readonly PlannedParameter[] = []): string | null {
  const { node } = parseStatements(`SELECT ${expression}`)[0]!;
  const [target] = 'SelectStmt' in node ? (node.SelectStmt.targetList ?? []) : [];
  const value = target && 'ResTarget' in target ? target.ResTarget.val : undefined;
  const compared = comparedValue(value as Node, typeOid, { parameters, late: [] as const } as unknown as PlanContext);
  return compared?.value ? compared.value.bytes.toString() : null;
}

test.each([
  ['5', int4, '5'],
  ["'5'", int4, '5'],
  ["' +5 '", int4, '5'],
  ['-5', int8, '-5'],
  ['5::smallint', int4, '5'],
  ['99999999999', int8, '99999999999'],
  ['99999999999', int4, null],
  ['5.0', int4, null],
  ["'0x5'", int4, null],
  ["'abc'", text, 'abc'],
  ["'abc'::varchar", text, 'abc'],
  ["'abc'::varchar(2)", text, null],
  ['\'abc\' COLLATE "C"', text, null],
  ["'abc'::bpchar", text, null],
  ['5', numeric, '5'],
  ['5.10', numeric, '5.10'],
  ["'NaN'", numeric, null],
  ["'2024-02-29'", date, '2024-02-29'],
  ["DATE '2024-02-29'", date, '2024-02-29'],
  ["'today'", date, null],
  ["'01/02/2024'", date, null],
  ["TIMESTAMP '2024-01-01'", date, null],
  ['null', int4, null],
  ['now()', int4, null],
])('%s compared with a key of type %i counts as %s', (expression, typeOid, expected) => {
  expect(textOf(expression, typeOid)).toBe(expected);
});

test('a parameter counts by its declared type, in either format', () => {
  const binary = {
    typeOid: int8,
    typeName: 'bigint',
    value: { format: 1 as const, bytes: Buffer.from('0000000000000007', 'hex') },
  };
  expect(textOf('$1', int4, [binary])).toBe('7');
  const wide = { ...binary, value: { format: 1 as const, bytes: Buffer.from('7fffffffffffffff', 'hex') } };
  expect(textOf('$1', int4, [wide])).toBeNull();
  expect(textOf('$1', numeric, [binary])).toBeNull();
  expect(textOf('$1::bigint', int4, [binary])).toBe('7');
  expect(textOf('$1::int', int4, [binary])).toBeNull();
  expect(textOf('$1', int4, [{ ...binary, value: undefined }])).toBeNull();
});
