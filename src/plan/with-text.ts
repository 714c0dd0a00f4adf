import type { WithClause } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { positionOf, type SqlSource } from '../sql/source.ts';
import { closing, type Extent, tokenAt } from './edits.ts';

export interface ItemText {
  /** From the name to the end of the query's parenthesis, or of SEARCH and CYCLE. */
  readonly text: Extent;
  /** Inside the parentheses. */
  readonly query: Extent;
}

/** Where the items of a statement's WITH stand in its text. */
export function itemsOfWith(source: SqlSource, clause: WithClause | undefined): ItemText[] {
  const tokens = source.tokens();
  if (tokens[0]?.text !== 'with') throw unsupported('PH002', 'a WITH that is not in front of the statement');
  return (clause?.ctes ?? []).map((node) => {
    assert('CommonTableExpr' in node, 'WITH has common table expressions');
    const first = tokenAt(tokens, positionOf(source, node.CommonTableExpr.location));
    let open = first;
    while (tokens[open]!.text !== 'as') open = tokens[open]!.text === '(' ? closing(tokens, open) + 1 : open + 1;
    while (tokens[open]!.text !== '(') open++;
    const close = closing(tokens, open);
    let end = close;
    while (end + 1 < tokens.length && !(mainWords.has(tokens[end + 1]!.text) || tokens[end + 1]!.text === ',')) {
      // SEARCH and CYCLE have lists of columns.
      end++;
      const next = tokens[end + 1]?.text;
      if (next === ',' && isInList(tokens, end)) end++;
    }
    return {
      text: { start: tokens[first]!.start, end: tokens[end]!.end },
      query: { start: tokens[open + 1]!.start, end: tokens[close - 1]!.end },
    };
  });
}

const mainWords = new Set(['select', 'insert', 'update', 'delete', 'merge', 'values', 'table', '(']);

/** A comma between the columns of SEARCH … BY or CYCLE, and not between two items of WITH. */
function isInList(tokens: ReturnType<SqlSource['tokens']>, at: number): boolean {
  for (let i = at; i > 0; i--) {
    const { text } = tokens[i]!;
    if (text === 'by' || text === 'cycle') return true;
    if (text === 'set' || text === 'using' || text === ')') return false;
  }
  return false;
}
