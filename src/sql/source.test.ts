import { expect, test } from 'vitest';
import { parseStatements } from './parse.ts';
import { createSource, positionOf, splice, textBetween } from './source.ts';

test('edits stand where the parser said, whatever comes before in other alphabets', () => {
  const [, statement] = parseStatements("select 'ü'; select 'éß', tab.x from tab");
  const source = createSource(statement!);
  const { node } = statement!;
  const [range] = 'SelectStmt' in node ? (node.SelectStmt.fromClause ?? []) : [];
  const start = positionOf(source, range && 'RangeVar' in range ? range.RangeVar.location : 0);
  expect(textBetween(source, start, start + 3)).toBe('tab');
  const parts = splice(source, [{ start, end: start + 3, parts: ['(', { motion: 0 }, ') AS "ä"'] }]);
  expect(parts).toEqual(["select 'éß', tab.x from (", { motion: 0 }, ') AS "ä"']);
});

test('edits that overlap are our own mistake', () => {
  const source = createSource({ text: 'abcdef', offsetBytes: 0 });
  const edits = [
    { start: 0, end: 3, parts: [] },
    { start: 2, end: 4, parts: [] },
  ];
  expect(() => splice(source, edits)).toThrow(/overlap/);
});
