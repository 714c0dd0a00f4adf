import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PgError } from '../core/errors.ts';
import { LineMap, mapLines } from './copy-line-map.ts';

test('gives back every line, whatever the steps between them', () => {
  const steps = fc.array(fc.oneof(fc.integer({ min: -300, max: 600 }), fc.constant(1)), {
    maxLength: 40_000,
    size: 'max',
  });
  fc.assert(
    fc.property(steps, (given) => {
      const map = new LineMap();
      let line = 1_000_000;
      const lines = given.map((step) => {
        line += step;
        return line;
      });
      for (const each of lines) map.push(each);
      for (let i = 0; i < lines.length; i += 997) expect(map.lineOf(i + 1)).toBe(lines[i]);
      if (lines.length > 0) expect(map.lineOf(lines.length + 5)).toBe(lines.at(-1));
    }),
    { numRuns: 20 },
  );
});

function whereOf(where: string): string | undefined {
  const map = new LineMap();
  for (const line of [10, 20, 30]) map.push(line);
  const error = new PgError({ severity: 'ERROR', code: '22P02', message: 'm', where });
  return mapLines(error, map, (data) => data.replace('added,', '')).error.fields.where;
}

test('rewrites the line of a context in any language, and nothing else', () => {
  expect(whereOf('COPY t, line 2, column c: "x"\non worker1')).toBe('COPY t, line 20, column c: "x"\non worker1');
  expect(whereOf('COPY t, Zeile 3: "added,x"\non worker1')).toBe('COPY t, Zeile 30: "x"\non worker1');
  expect(whereOf('PL/pgSQL function f() line 1 at RAISE\nCOPY t, line 1')).toBe(
    'PL/pgSQL function f() line 1 at RAISE\nCOPY t, line 10',
  );
  expect(whereOf('SQL statement "x" line 2')).toBe('SQL statement "x" line 2');
});
