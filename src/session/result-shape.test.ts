import { expect, test } from 'vitest';
import { parseStatements } from '../sql/parse.ts';
import { createSource } from '../sql/source.ts';
import { resultShape } from './result-shape.ts';

const shape = (sql: string) => resultShape(createSource(parseStatements(sql)[0]!));

test.each([
  ['SELECT a FROM t WHERE id = 1', 'SELECT a FROM t WHERE id = 25'],
  ["SELECT a FROM t WHERE k = 'x'", "SELECT a FROM t  WHERE k = 'it''s'"],
  ['SELECT a FROM t WHERE id IN (1, 2)', 'SELECT a FROM t WHERE id IN (3, 4) -- these'],
  ['INSERT INTO t VALUES (1) RETURNING a', 'INSERT INTO t VALUES (2) RETURNING a'],
])('%s and %s give the same columns', (one, other) => {
  expect(shape(one)).toBe(shape(other));
});

test.each([
  ['SELECT 1', 'SELECT 10000000000'],
  ['SELECT 1', 'SELECT 1.5'],
  ["SELECT '1'", 'SELECT 1'],
  ["SELECT 'x'", "SELECT B'1'"],
  ['SELECT a::numeric(5, 2) FROM t', 'SELECT a::numeric(5, 3) FROM t'],
  ['SELECT CAST(a AS float(24)) FROM t', 'SELECT CAST(a AS float(53)) FROM t'],
  ["SELECT interval(3) '1 s'", "SELECT interval(4) '1 s'"],
  ['SELECT a AS x FROM t', 'SELECT a AS "X" FROM t'],
  ['SELECT a FROM t', 'SELECT a FROM s.t'],
])('%s and %s may give other columns', (one, other) => {
  expect(shape(one)).not.toBe(shape(other));
});
