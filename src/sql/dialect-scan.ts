import { assert } from '../core/assert.ts';
import type { Dialect } from './dialect.ts';
import { readGreenplumClause, readXlClause } from './dialect-clauses.ts';
import { readDialectStatement } from './dialect-statements.ts';
import { createTokenReader } from './token-reader.ts';
import { type Token, tokenize } from './tokens.ts';

/** Where a dialect's own words stand; positions are bytes. */
export interface DialectFind {
  readonly dialect: Dialect;
  /** The statement as a whole is the dialect's. */
  readonly isStatement: boolean;
  readonly start: number;
  readonly end: number;
}

/**
 * Finds what Greenplum and Postgres-XL add to PostgreSQL's grammar in a text of any number of statements. It goes by tokens, so what
 * stands in comments, strings and quoted names is left alone. Only for texts that PostgreSQL's own grammar refuses: none of this
 * can stand in a text that it takes.
 */
export function scanDialects(source: string): DialectFind[] {
  const bytes = Buffer.from(source, 'utf8').toString('latin1');
  const tokens = tokenize(bytes);
  return statementsOf(tokens).flatMap(([first, end]) => findIn(tokens, first, end));
}

/** The text with spaces for what was found: every position in it stays what it was. */
export function blankOut(source: string, finds: readonly DialectFind[]): string {
  const bytes = Buffer.from(source, 'utf8');
  for (const { start, end } of finds) bytes.fill(' ', start, end);
  return bytes.toString('utf8');
}

/** Index of the first token of each statement, and the index behind its last. */
function statementsOf(tokens: readonly Token[]): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  let depth = 0;
  let first = 0;
  for (const [i, { kind, text }] of tokens.entries()) {
    if (kind !== 'symbol') continue;
    if (text === '(') depth++;
    if (text === ')') depth--;
    if (text !== ';' || depth > 0) continue;
    if (i > first) found.push([first, i]);
    first = i + 1;
  }
  if (tokens.length > first) found.push([first, tokens.length]);
  return found;
}

function findIn(tokens: readonly Token[], first: number, end: number): DialectFind[] {
  const statement = createTokenReader(tokens, first, end);
  const dialect = readDialectStatement(statement);
  if (dialect && statement.isAtEnd()) return [find(tokens, { dialect, isStatement: true }, first, end)];
  return createsTable(tokens, first, end) ? clausesIn(tokens, first, end) : [];
}

function createsTable(tokens: readonly Token[], first: number, end: number): boolean {
  const reader = createTokenReader(tokens, first, end);
  if (!reader.words('create')) return false;
  if (!reader.words('global')) reader.words('local');
  if (!reader.words('temporary') && !reader.words('temp')) reader.words('unlogged');
  return reader.words('table');
}

/** Outside parentheses, where the grammars have it. */
function clausesIn(tokens: readonly Token[], first: number, end: number): DialectFind[] {
  let depth = 0;
  for (let i = first; i < end; i++) {
    const { kind, text } = tokens[i]!;
    if (kind === 'symbol' && text === '(') depth++;
    if (kind === 'symbol' && text === ')') depth--;
    if (depth > 0 || kind !== 'word') continue;
    const reader = createTokenReader(tokens, i, end);
    const clause = readGreenplumClause(reader) ?? readXlClause(reader);
    if (clause) return [find(tokens, { dialect: { kind: 'distribution', clause }, isStatement: false }, i, reader.at)];
  }
  return [];
}

function find(
  tokens: readonly Token[],
  what: Pick<DialectFind, 'dialect' | 'isStatement'>,
  first: number,
  end: number,
): DialectFind {
  const [from, to] = [tokens[first], tokens[end - 1]];
  assert(from && to, 'what was found has tokens');
  return { ...what, start: from.start, end: to.end };
}
