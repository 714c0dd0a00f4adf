import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { scanSync } from 'libpg-query';
import { expect, test } from 'vitest';
import './parse.ts';
import { tokenize } from './tokens.ts';

const bytes = (text: string) => Buffer.from(text).toString('latin1');

function expectPostgresTokens(sql: string): void {
  const expected = scanSync(sql).tokens.filter(({ tokenName }) => !tokenName.endsWith('COMMENT'));
  const own = tokenize(bytes(sql)).map(({ start, end }) => [start, end]);
  expect(own, sql).toEqual(expected.map(({ start, end }) => [start, end]));
}

const corners = [
  `SELECT U&'d\\0061t', "Q""x", -5::int --c\n FROM only (public.t) /* x /* nested */ y */ AS é`,
  `SELECT $$a ' b$$, $q$ $$ $q$, E'a\\'b', 'it''s', B'01', x'fF', n'x', e'\\\\'`,
  'SELECT a<=-1, b->>2, c@>d, 1.5e-10, .5, 1..2, a[1:2], $1::int, :x, 0x1F, 1_000, a!=b, a<>b, a=>b',
  `SELECT 'a'  'b', a+-b, a<--comment\nb, a*/**/b, a@-b, \u00fcber.x, $tag$é$tag$, t.*`,
];

test.each(corners)('the lexer cuts as PostgreSQL does: %s', (sql) => {
  expectPostgresTokens(sql);
});

test('the lexer cuts all golden statements as PostgreSQL does', () => {
  const folder = join(import.meta.dirname, '../../test/golden/plans');
  for (const name of readdirSync(folder)) {
    for (const entry of readFileSync(join(folder, name), 'utf8').split(/\n{2,}(?=\S)/)) {
      expectPostgresTokens(entry.split('\n----')[0]!);
    }
  }
});

test('words are folded as PostgreSQL folds them, ASCII only', () => {
  expect(tokenize(bytes('SeLeCt ÉA')).map(({ text }) => Buffer.from(text, 'latin1').toString())).toEqual([
    'select',
    'Éa',
  ]);
});
