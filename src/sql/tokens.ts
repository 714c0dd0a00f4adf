/**
 * A lexer of PostgreSQL's SQL, for one purpose: to find where things end. The parser reports where a node begins; splicing
 * needs the end too. It runs over a text in which one character is one byte (see source.ts), so positions are byte offsets.
 */

export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'parameter' | 'symbol';
  /** A word is folded to lower case; a symbol is one operator or one punctuation character. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const pattern = new RegExp(
  [
    /(?<space>\s+|--[^\n\r]*)/,
    /(?<comment>\/\*)/,
    /(?<escaped>[eE]'(?:[^'\\]|''|\\[\s\S])*')/,
    /(?<string>(?:[bBxX]|[uU]&)?'(?:[^']|'')*')/,
    /(?<dollar>\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$)/,
    /(?<quoted>(?:[uU]&)?"(?:[^"]|"")*")/,
    /(?<word>[A-Za-z_\x80-\xff][\w$\x80-\xff]*)/,
    /(?<parameter>\$\d+)/,
    /(?<number>0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*(?:\.(?!\.)[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?)/,
    /(?<cast>::|\.\.|:=|=>)/,
    /(?<operator>[-+*/<>=~!@#%^&|`?]+)/,
    /(?<other>[\s\S])/,
  ]
    .map((part) => part.source)
    .join('|'),
  'y',
);

export function tokenize(bytes: string): Token[] {
  const tokens: Token[] = [];
  let position = 0;
  while (position < bytes.length) {
    pattern.lastIndex = position;
    const groups = pattern.exec(bytes)?.groups ?? {};
    let end = pattern.lastIndex;
    const token = (kind: Token['kind'], text: string) => tokens.push({ kind, text, start: position, end });
    if (groups['comment'] !== undefined) end = endOfComment(bytes, position);
    else if (groups['word'] !== undefined) token('word', foldCase(groups['word']));
    else if (groups['quoted'] !== undefined) token('quoted', groups['quoted']);
    else if (groups['dollar'] !== undefined) {
      const close = bytes.indexOf(groups['dollar'], end);
      end = close < 0 ? bytes.length : close + groups['dollar'].length;
      token('string', bytes.slice(position, end));
    } else if (groups['string'] !== undefined || groups['escaped'] !== undefined) {
      token('string', bytes.slice(position, end));
    } else if (groups['number'] !== undefined) token('number', groups['number']);
    else if (groups['parameter'] !== undefined) token('parameter', groups['parameter']);
    else if (groups['operator'] !== undefined) {
      end = endOfOperator(bytes, position, end);
      token('symbol', bytes.slice(position, end));
    } else if (groups['space'] === undefined) token('symbol', bytes.slice(position, end));
    position = end;
  }
  return tokens;
}

/** PostgreSQL folds ASCII letters only (in a multi-byte encoding). */
function foldCase(word: string): string {
  return word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Comments nest. */
function endOfComment(bytes: string, start: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = start;
  let depth = 0;
  for (let match = mark.exec(bytes); match; match = mark.exec(bytes)) {
    depth += match[0] === '/*' ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return bytes.length;
}

/** A comment ends an operator; a trailing + or - belongs to it only beside one of ~ ! @ # % ^ & | ` ? (manual, 4.1.3). */
function endOfOperator(bytes: string, start: number, end: number): number {
  let text = bytes.slice(start, end);
  const comment = text.search(/--|\/\*/);
  if (comment > 0) text = text.slice(0, comment);
  if (!/[~!@#%^&|`?]/.test(text)) while (text.length > 1 && /[-+]$/.test(text)) text = text.slice(0, -1);
  return start + text.length;
}
