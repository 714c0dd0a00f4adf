import type { Token } from './tokens.ts';

/**
 * Reads tokens from left to right. Each method takes what it names and steps over it, or leaves everything as it is and says so by
 * false or null.
 */
export interface TokenReader {
  /** The index of the next token. */
  readonly at: number;
  /** A run of unquoted words. */
  words(...words: string[]): boolean;
  symbol(text: string): boolean;
  /** A name, folded or out of its quotes. */
  name(): string | null;
  /** One token of that kind, as it is written. */
  token(kind: Token['kind']): Token | null;
  /** `( item, item … )`, with at least one item. */
  list<T>(item: () => T | null): T[] | null;
  isAtEnd(): boolean;
}

export function createTokenReader(tokens: readonly Token[], start = 0, end = tokens.length): TokenReader {
  let at = start;
  const next = (offset = 0): Token | undefined => (at + offset < end ? tokens[at + offset] : undefined);
  const isSymbol = (text: string) => next()?.kind === 'symbol' && next()?.text === text;
  /** What doesn't fit as a whole isn't taken at all. */
  const whole = <T>(read: () => T | null): T | null => {
    const before = at;
    const value = read();
    if (value === null) at = before;
    return value;
  };
  const reader: TokenReader = {
    get at() {
      return at;
    },
    words(...words) {
      const found = words.every((word, i) => next(i)?.kind === 'word' && next(i)?.text === word);
      if (found) at += words.length;
      return found;
    },
    symbol(text) {
      const found = isSymbol(text);
      if (found) at += 1;
      return found;
    },
    name() {
      const token = next();
      if (token?.kind !== 'word' && token?.kind !== 'quoted') return null;
      // Of U&"…" the escapes would have to be read.
      if (token.kind === 'quoted' && !token.text.startsWith('"')) return null;
      at += 1;
      const text = token.kind === 'word' ? token.text : token.text.slice(1, -1).replaceAll('""', '"');
      return Buffer.from(text, 'latin1').toString('utf8');
    },
    token(kind) {
      const token = next();
      if (token?.kind !== kind) return null;
      at += 1;
      return token;
    },
    list(item) {
      return whole(() => {
        if (!reader.symbol('(')) return null;
        const items = [];
        do {
          const value = item();
          if (value === null) return null;
          items.push(value);
        } while (reader.symbol(','));
        return reader.symbol(')') ? items : null;
      });
    },
    isAtEnd: () => at >= end,
  };
  return reader;
}
