import type { SqlSource } from '../sql/source.ts';
import { closing, type Extent } from './edits.ts';

/** Where the condition of an UPDATE or DELETE stands: after the one WHERE outside parentheses, up to RETURNING or the end. */
export function whereExtent(source: SqlSource): Extent | null {
  const tokens = source.tokens();
  let start: number | null = null;
  let end = source.bytes.length;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token.text === '(' || token.text === '[') i = closing(tokens, i);
    else if (token.kind !== 'word' || tokens[i - 1]?.text === '.') continue;
    else if (token.text === 'where' && start === null) start = token.end;
    else if (token.text === 'returning' && start !== null) {
      end = token.start;
      break;
    }
  }
  return start === null ? null : { start, end };
}

/** Where a statement begins after `EXPLAIN …`. */
export function explainedStart(source: SqlSource): number {
  const tokens = source.tokens();
  if (tokens[0]?.text !== 'explain') return 0;
  let next = 1;
  if (tokens[1]?.text === '(' && !['select', 'with', 'values', 'table', '('].includes(tokens[2]?.text ?? '')) {
    next = closing(tokens, 1) + 1;
  } else while (tokens[next]?.text === 'analyze' || tokens[next]?.text === 'verbose') next++;
  return tokens[next]?.start ?? 0;
}
