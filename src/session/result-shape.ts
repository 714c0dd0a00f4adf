import type { SqlSource } from '../sql/source.ts';
import type { Token } from '../sql/tokens.ts';

/**
 * The text of a statement with those literals taken out whose values can't change what columns it gives: quoted strings, and integers
 * that stay integers, outside the parentheses where a type's modifiers may stand (`numeric(5, 2)`). Statements with equal shapes
 * give the same columns under the same catalog.
 */
export function resultShape(source: SqlSource): string {
  const tokens = source.tokens();
  const parts: string[] = [];
  /** For each open parenthesis, whether it may hold modifiers. */
  const open: boolean[] = [];
  for (const [index, token] of tokens.entries()) {
    if (token.text === '(') open.push(mayHoldModifiers(tokens[index - 1]));
    else if (token.text === ')') open.pop();
    parts.push(shown(source, token, open.at(-1) ?? false));
  }
  return parts.join(' ');
}

/** The literals of a list after IN or VALUES, or of a row after another, are values. */
function mayHoldModifiers(before: Token | undefined): boolean {
  if (before === undefined || before.kind === 'symbol') return before?.text === ']';
  return before.text !== 'in' && before.text !== 'values';
}

function shown(source: SqlSource, token: Token, amongModifiers: boolean): string {
  if (token.kind === 'string') return /^['$]/.test(token.text) ? "''" : token.text;
  // Ten digits may be a bigint.
  if (token.kind === 'number' && !amongModifiers && /^\d{1,9}$/.test(token.text)) return '0';
  return source.bytes.slice(token.start, token.end);
}
