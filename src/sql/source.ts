import { assert } from '../core/assert.ts';
import type { RawStatement } from './parse.ts';
import { type Token, tokenize } from './tokens.ts';

/**
 * The text of one statement, seen as bytes: the parser's locations are byte offsets, so `bytes` holds one character (0-255)
 * per byte of the UTF-8 text, and positions into it are locations less `offsetBytes`.
 */
export interface SqlSource {
  readonly bytes: string;
  readonly offsetBytes: number;
  /** Lexed on first use: the hot path does without. */
  tokens(): readonly Token[];
}

export function createSource(statement: Pick<RawStatement, 'text' | 'offsetBytes'>): SqlSource {
  const bytes = Buffer.from(statement.text, 'utf8').toString('latin1');
  let tokens: readonly Token[] | undefined;
  return {
    bytes,
    offsetBytes: statement.offsetBytes,
    tokens() {
      tokens ??= tokenize(bytes);
      return tokens;
    },
  };
}

/** The position of a node's location; asserts that the parser gave one. */
export function positionOf(source: SqlSource, location: number | undefined): number {
  const position = (location ?? 0) - source.offsetBytes;
  assert(position >= 0 && position < source.bytes.length, `location ${location} is outside its statement`);
  return position;
}

export function textBetween(source: SqlSource, start: number, end: number): string {
  return Buffer.from(source.bytes.slice(start, end), 'latin1').toString('utf8');
}

/** Replaces what stands in [start, end) by parts; an empty range inserts. */
export interface Edit<Hole> {
  readonly start: number;
  readonly end: number;
  readonly parts: readonly (string | Hole)[];
}

/** The text with all edits made, which must not overlap. Neighbouring strings are joined. */
export function splice<Hole>(source: SqlSource, edits: readonly Edit<Hole>[]): (string | Hole)[] {
  const sorted = [...edits].sort((a, b) => a.start - b.start || a.end - b.end);
  const parts: (string | Hole)[] = [];
  let position = 0;
  for (const edit of sorted) {
    assert(edit.start >= position, 'edits of a statement overlap');
    parts.push(textBetween(source, position, edit.start), ...edit.parts);
    position = edit.end;
  }
  parts.push(textBetween(source, position, source.bytes.length));
  return joinParts(parts);
}

export function joinParts<Hole>(parts: readonly (string | Hole)[]): (string | Hole)[] {
  const joined: (string | Hole)[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    if (typeof part === 'string' && typeof last === 'string') joined[joined.length - 1] = last + part;
    else if (part !== '') joined.push(part);
  }
  return joined;
}
