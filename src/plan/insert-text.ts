import { assert } from '../core/assert.ts';
import { positionOf } from '../sql/source.ts';
import type { Token } from '../sql/tokens.ts';
import { closing, type Extent, relationExtent, tokenAt } from './edits.ts';
import type { RelationItem } from './model.ts';

/** Where the parts of an INSERT stand in its text. */
export interface InsertText {
  /** From INSERT to where its rows begin: VALUES, SELECT, WITH, DEFAULT. */
  readonly head: Extent;
  readonly source: Extent;
  /** ON CONFLICT … RETURNING …, to the end. */
  readonly tailStart: number;
}

export function insertText(item: RelationItem): InsertText {
  const { block } = item;
  assert(block.kind === 'insert', 'the target of an INSERT');
  const { source, node } = block;
  const tokens = source.tokens();
  const target = relationExtent(source, item.node);
  let next = tokens.findIndex((token) => token.start >= target.end);
  let insert = tokenAt(tokens, target.start);
  while (tokens[insert]?.text !== 'insert') insert--;
  if (tokens[next]?.text === 'as') next += 2;
  if (node.cols) next = closing(tokens, next) + 1;
  if (tokens[next]?.text === 'overriding') next += 3;
  const start = tokens[next]!.start;
  const tailStart = tailOf(item, tokens) ?? source.bytes.length;
  return { head: { start: tokens[insert]!.start, end: start }, source: { start, end: tailStart }, tailStart };
}

function tailOf({ block }: RelationItem, tokens: readonly Token[]): number | null {
  if (block.kind !== 'insert') return null;
  const { onConflictClause, returningClause } = block.node;
  if (onConflictClause) return positionOf(block.source, onConflictClause.location);
  const [first] = returningClause?.exprs ?? [];
  if (!first || !('ResTarget' in first)) return null;
  let index = tokenAt(tokens, positionOf(block.source, first.ResTarget.location));
  while (tokens[index]?.text !== 'returning') index--;
  return tokens[index]!.start;
}

/** The extents of the expressions of VALUES, by row, and where each row's closing parenthesis is. */
export function valuesExtents(item: RelationItem, text: InsertText): { expressions: Extent[]; close: number }[] {
  const tokens = item.block.source.tokens();
  const first = tokenAt(tokens, text.source.start);
  assert(tokens[first]?.text === 'values', 'VALUES begins with VALUES');
  const rows: { expressions: Extent[]; close: number }[] = [];
  for (let open = first + 1; tokens[open]?.text === '('; ) {
    const end = closing(tokens, open);
    rows.push({ expressions: splitAtCommas(tokens, open + 1, end), close: tokens[end]!.start });
    open = end + 1;
    if (tokens[open]?.text !== ',') break;
    open++;
  }
  return rows;
}

function splitAtCommas(tokens: readonly Token[], from: number, to: number): Extent[] {
  const extents: Extent[] = [];
  let start = from;
  for (let i = from; i <= to; i++) {
    if (i < to && (tokens[i]!.text === '(' || tokens[i]!.text === '[')) i = closing(tokens, i);
    else if (i === to || tokens[i]!.text === ',') {
      extents.push({ start: tokens[start]!.start, end: tokens[i - 1]!.end });
      start = i + 1;
    }
  }
  return extents;
}
