import type { ColumnRef, RangeVar } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import { figureColumnName } from '../sql/column-name.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { type Edit, positionOf, type SqlSource } from '../sql/source.ts';
import type { Token } from '../sql/tokens.ts';
import type { SqlPart } from './plan.ts';

export type PlanEdit = Edit<Exclude<SqlPart, string>>;

export interface Extent {
  readonly start: number;
  readonly end: number;
}

const identifier = /\s*(?:"(?:[^"]|"")*"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*)/y;
const dot = /\s*\.\s*/y;

/** Where a name of `parts` identifiers ends that begins at `start`; null when comments or U&"" stand in the way. */
function nameEnd(bytes: string, start: number, parts: number): number | null {
  let position = start;
  for (let i = 0; i < parts; i++) {
    const pattern = i === 0 ? [identifier] : [dot, identifier];
    for (const each of pattern) {
      each.lastIndex = position;
      if (!each.test(bytes)) return null;
      position = each.lastIndex;
    }
  }
  return /^[uU]&/.test(bytes.slice(start, start + 2)) ||
    /^\s*(?:\/\*|--|\.|&)/.test(bytes.slice(position, position + 20))
    ? null
    : position;
}

/** The text of a relation's name in FROM or as a target, with ONLY, its parentheses and `*`, without the alias. */
export function relationExtent(source: SqlSource, node: RangeVar): Extent {
  const start = positionOf(source, node.location);
  const parts = 1 + (node.schemaname === undefined ? 0 : 1) + (node.catalogname === undefined ? 0 : 1);
  const end = nameEnd(source.bytes, start, parts);
  if (end !== null && node.inh && !/^\s*\*/.test(source.bytes.slice(end, end + 20))) return { start, end };
  const tokens = source.tokens();
  let first = tokenAt(tokens, start);
  let last = first + 2 * (parts - 1);
  const text = (i: number) => tokens[i]?.text;
  if (!node.inh && text(first - 1) === '(' && text(last + 1) === ')') {
    first -= 1;
    last += 1;
  }
  if (!node.inh) {
    assert(text(first - 1) === 'only', 'ONLY stands before the name');
    first -= 1;
  } else if (text(last + 1) === '*') last += 1;
  return { start: tokens[first]!.start, end: tokens[last]!.end };
}

export function tokenAt(tokens: readonly Token[], position: number): number {
  const index = tokens.findIndex((token) => token.start === position);
  assert(index >= 0, `no token begins at ${position}`);
  return index;
}

/** `schema.` of `schema.table.column`, where the table now goes by its bare name. */
export function qualifierExtent(source: SqlSource, ref: ColumnRef): Extent {
  const start = positionOf(source, ref.location);
  const tokens = source.tokens();
  const first = tokenAt(tokens, start);
  const dropped = (ref.fields?.length ?? 0) - 2;
  return { start, end: tokens[first + 2 * dropped]!.start };
}

/** `schema.table` of `schema.table.column`. */
export function tableExtent(source: SqlSource, ref: ColumnRef): Extent {
  const { start, end } = qualifierExtent(source, ref);
  const tokens = source.tokens();
  return { start, end: tokens[tokenAt(tokens, end)]!.end };
}

/** `$1` */
export function parameterExtent(source: SqlSource, location: number | undefined): Extent {
  const start = positionOf(source, location);
  const length = /^\$\d+/.exec(source.bytes.slice(start, start + 12))?.[0].length;
  assert(length, 'a parameter is $ and a number');
  return { start, end: start + length };
}

/** A call with its arguments, or a keyword such as CURRENT_DATE with its precision. */
export function callExtent(source: SqlSource, location: number | undefined): Extent {
  const tokens = source.tokens();
  const first = tokenAt(tokens, positionOf(source, location));
  let last = first;
  while (tokens[last + 1]?.text === '.') last += 2;
  if (tokens[last + 1]?.text === '(') last = closing(tokens, last + 1);
  return { start: tokens[first]!.start, end: tokens[last]!.end };
}

/** The index of the parenthesis that closes the one at `open`. */
export function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    if (tokens[i]!.text === '(' || tokens[i]!.text === '[') depth++;
    if (tokens[i]!.text === ')' || tokens[i]!.text === ']') depth--;
    if (depth === 0) return i;
  }
  throw new Error('parentheses of a parsed statement are balanced');
}

/** `TABLESAMPLE method (…) [REPEATABLE (…)]`; the parser's location is that of the method. */
export function sampleExtent(source: SqlSource, location: number | undefined): Extent {
  const tokens = source.tokens();
  let last = tokenAt(tokens, positionOf(source, location));
  const first = last - 1;
  assert(tokens[first]?.text === 'tablesample', 'TABLESAMPLE stands before its method');
  while (tokens[last + 1]?.text === '.') last += 2;
  last = closing(tokens, last + 1);
  if (tokens[last + 1]?.text === 'repeatable') last = closing(tokens, last + 2);
  return { start: tokens[first]!.start, end: tokens[last]!.end };
}

const endWords = new Set([
  ...['from', 'into', 'where', 'group', 'having', 'window', 'union', 'intersect', 'except', 'order', 'limit', 'offset'],
  ...['fetch', 'for', 'on', 'returning', 'with'],
]);

/** Where an item of a SELECT or RETURNING list ends that begins at `location`. */
function targetEnd(source: SqlSource, location: number | undefined): number {
  const tokens = source.tokens();
  let index = tokenAt(tokens, positionOf(source, location));
  for (; index < tokens.length; index++) {
    const token = tokens[index]!;
    if (token.text === '(' || token.text === '[') index = closing(tokens, index);
    else if (token.text === ')' || token.text === ',' || token.text === ';' || token.text === ']') break;
    else if (token.kind === 'word' && endWords.has(token.text) && endsTarget(tokens, index)) break;
  }
  return tokens[index - 1]!.end;
}

/** Not so `IS DISTINCT FROM`, `WITHIN GROUP`, `WITH TIME ZONE` and what follows a dot. */
function endsTarget(tokens: readonly Token[], index: number): boolean {
  const before = tokens[index - 1]?.text;
  if (before === '.') return false;
  if (tokens[index]!.text === 'from') return before !== 'distinct';
  if (tokens[index]!.text === 'group') return before !== 'within';
  return tokens[index]!.text !== 'with' || tokens[index + 1]?.text !== 'time';
}

/** ` AS name` after an unnamed item whose expression is changed, so that its name stays. */
export function nameEdit(
  source: SqlSource,
  target: { val?: Parameters<typeof figureColumnName>[0]; location?: number },
): PlanEdit {
  assert(target.val, 'an item of a SELECT list has a value');
  const end = targetEnd(source, target.location);
  return { start: end, end, parts: [` AS ${quoteIdentifier(figureColumnName(target.val))}`] };
}
