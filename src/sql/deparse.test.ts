import { expect, test } from 'vitest';
import { deparseChecked, fillHoles } from './deparse.ts';
import { parseStatements } from './parse.ts';

const again = (sql: string) => deparseChecked(parseStatements(sql)[0]!.node);

test('a statement is written back as it means', () => {
  expect(again("select a.x from t a where b ~ E'\\\\d' and c = 'é'''")).toBe(
    "SELECT a.x FROM t AS a WHERE b ~ E'\\\\d' AND c = 'é'''",
  );
});

test('what the deparser gets wrong is refused, never changed', () => {
  expect(() => again('select c::"bit" from t')).toThrow(/PH002/);
});

test("holes come back in place, and a text of the user's own that looks like one is refused", () => {
  expect(fillHoles('a = "pgherd hole 0" AND b', [['$', { parameter: 0 }]])).toEqual([
    'a = $',
    { parameter: 0 },
    ' AND b',
  ]);
  expect(() => fillHoles('a = "pgherd hole 7"', [])).toThrow(/PH002/);
});
