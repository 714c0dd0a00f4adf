import fc from 'fast-check';
import { loadModule, scanSync } from 'libpg-query';
import { beforeAll, describe, expect, test } from 'vitest';
import { LiteralScan } from './literal-scan.ts';

const bytesOf = (text: string) => Buffer.from(text).toString('latin1');

function scanned(text: string): { key: string; literals: string[] } | null {
  const scan = new LiteralScan();
  const bytes = bytesOf(text);
  if (!scan.read(bytes)) return null;
  const literals = Array.from({ length: scan.count }, (_, i) => bytes.slice(scan.starts[i], scan.ends[i]));
  return { key: scan.key, literals };
}

/** PostgreSQL's own tokens, comments left out; null: it refuses the text. */
function lexed(text: string): { name: string; text: string }[] | null {
  try {
    const bytes = bytesOf(text);
    return scanSync(text)
      .tokens.filter(({ tokenName }) => !tokenName.endsWith('COMMENT'))
      .map(({ tokenName, start, end }) => ({ name: tokenName, text: bytes.slice(start, end) }));
  } catch {
    return null;
  }
}

const pieces = [
  ...[
    'SELECT',
    'where',
    'a',
    'b_1',
    'Ünï',
    '"q""i"',
    '"x',
    'e',
    'E',
    'u',
    'U&',
    'b',
    'x',
    'n',
    'uescape',
    'in',
    'numeric',
  ],
  ...[
    "'s'",
    "'it''s'",
    "'a\\b'",
    "'",
    "''",
    "E'\\''",
    "U&'\\0041'",
    'U&"d"',
    "B'01'",
    "X'1F'",
    "N'n'",
    "e'1'",
    '$$d$$',
    '$t$x$t$',
    '$1',
  ],
  ...[
    '1',
    '42',
    '123456789',
    '1234567890',
    '0',
    '007',
    '1.5',
    '1.',
    '.5',
    '1e5',
    '1.e5',
    '1e',
    '1e+',
    '0x1F',
    '0b1',
    '0o7',
    '1_000',
    '5abc',
    '1..2',
  ],
  ...[
    '+',
    '-',
    '*',
    '/',
    '=',
    '<',
    '>',
    '<=',
    '@>',
    '||',
    '::',
    ':=',
    '->',
    '->>',
    '#',
    '?',
    '`',
    '~',
    '!',
    '|',
    '&',
    '^',
    '%',
  ],
  ...[
    '(',
    ')',
    '[',
    ']',
    ',',
    ';',
    '.',
    '--',
    '/*',
    '*/',
    '-- x\n',
    '/* a /* b */ c */',
    '\\',
    '{',
    '\n',
    '\t',
    ' ',
    '\r',
    '€',
  ],
];
const texts = fc
  .array(fc.tuple(fc.constantFrom(...pieces), fc.constantFrom('', ' ', '\n', ' ')), { maxLength: 14 })
  .map((parts) => parts.map(([piece, gap]) => piece + gap).join(''));

describe('the literal scanner', () => {
  beforeAll(() => loadModule());

  test("a text that it takes has PostgreSQL's own constants in the places it tells", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const found = scanned(text);
        if (found === null) return;
        const tokens = lexed(text);
        if (tokens === null) return;
        const constants = tokens
          .filter(({ name }) => name === 'ICONST' || name === 'SCONST')
          .map((token) => token.text);
        let at = 0;
        for (const literal of found.literals) {
          at = constants.indexOf(literal, at) + 1;
          expect(at).toBeGreaterThan(0);
        }
        expect(found.literals.filter((each) => each.startsWith("'"))).toEqual(
          constants.filter((each) => each.startsWith("'")),
        );
      }),
      { numRuns: 4_000 },
    );
  });

  test('with other constants in the same places the tokens are the same but for these', () => {
    const integer = fc.integer({ min: 0, max: 999_999_999 }).map(String);
    const string = fc.string().map((text) => `'${text.replace(/[\\\0]/g, '').replaceAll("'", "''")}'`);
    fc.assert(
      fc.property(texts, fc.infiniteStream(integer), fc.infiniteStream(string), (text, integers, strings) => {
        const found = scanned(text);
        if (found === null || lexed(text) === null) return;
        const scan = new LiteralScan();
        const bytes = bytesOf(text);
        scan.read(bytes);
        let other = '';
        let from = 0;
        for (let i = 0; i < scan.count; i++) {
          const isString = bytes[scan.starts[i]!] === "'";
          other += bytes.slice(from, scan.starts[i]) + bytesOf((isString ? strings : integers).next().value as string);
          from = scan.ends[i]!;
        }
        other = Buffer.from(other + bytes.slice(from), 'latin1').toString();
        expect(scanned(other)?.key).toBe(found.key);
        const shape = (tokens: ReturnType<typeof lexed>) =>
          tokens?.map(({ name, text: each }) => (name === 'ICONST' || name === 'SCONST' ? name : each));
        expect(shape(lexed(other))).toEqual(shape(lexed(text)));
      }),
      { numRuns: 4_000 },
    );
  });

  test.each([
    ['SELECT v FROM t WHERE k = 5', ['5']],
    ["UPDATE t SET v = v + -12, s = 'a''b' WHERE k = 7;", ['12', "'a''b'", '7']],
    ['SELECT 1234567890, 1.5, 3', ['3']],
    ['SELECT 5::numeric(7, 2), (k) FROM t WHERE (k = 3)', ['5', '3']],
    ['INSERT INTO t (a, b) VALUES (1, 2) -- 3\n', ['1', '2']],
    ['SELECT /* 1 /* 2 */ 3 */ 4', ['4']],
    ["SELECT date '2020-01-01', interval(3) '1 s'", ["'2020-01-01'", "'1 s'"]],
  ])('%s', (text, literals) => {
    expect(scanned(text)?.literals).toEqual(literals);
  });

  test.each([
    "SELECT E'\\n'",
    "SELECT U&'\\0041'",
    "SELECT 'a\\b'",
    'SELECT $1',
    'SELECT $$a$$',
    'SELECT 0x1F',
    'SELECT 1_000',
    'SELECT 5abc',
    'SELECT 1e',
    "SELECT 'open",
    'SELECT /* open',
    'SELECT (1',
  ])('leaves %s to the parser', (text) => {
    expect(scanned(text)).toBeNull();
  });
});
