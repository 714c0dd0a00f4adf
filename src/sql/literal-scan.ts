/** Beyond that a statement is no small one. */
const maxLiterals = 64;
/** Ten may be a bigint. */
const maxDigits = 9;

/**
 * Finds the constants of a statement that may stand for any others of their kind: plain decimal integers of at most nine digits, and
 * plain quoted strings. Statements that differ in these alone share a key. Made for the hot path: one pass, no tree, one object for many texts;
 * what it does not know for certain it leaves alone. It agrees with PostgreSQL's lexer about where tokens begin and end (scan.l), with
 * standard_conforming_strings on.
 */
export class LiteralScan {
  /** The text with a mark in the place of each literal; other texts with this key are of one shape. */
  key = '';
  count = 0;
  /** Of literal i: [starts[i], ends[i]); of a string these include its quotes. */
  readonly starts = new Int32Array(maxLiterals);
  readonly ends = new Int32Array(maxLiterals);
  /** How many parentheses are open. */
  #depth = 0;
  /** For each of them whether type modifiers may stand in it (`numeric(5, 2)`): numbers there are part of a type. */
  readonly #modifiers: boolean[] = [];
  /** The last token: a word, folded; `'` for a string; `x` for what else may stand before modifiers; otherwise empty. */
  #last = '';

  /**
   * `text`: one character for each byte. False: something is in it that this scanner leaves to the parser (parameters, dollar quotes,
   * backslashes in strings, odd numbers, strings that go on, what does not end properly).
   */
  read(text: string): boolean {
    this.count = 0;
    this.#depth = 0;
    this.#last = '';
    let key = '';
    let kept = 0;
    for (let at = 0; at < text.length; ) {
      const count = this.count;
      const end = this.#tokenEnd(text, at);
      if (end < 0) return false;
      if (this.count > count) {
        key += text.slice(kept, at) + (text.charCodeAt(at) === quoteCode ? stringMark : integerMark);
        kept = end;
      }
      at = end;
    }
    this.key = kept === 0 ? text : key + text.slice(kept);
    return this.#depth === 0;
  }

  /** Where the token, space or comment ends that begins at `at`; -1: leave the text. */
  #tokenEnd(text: string, at: number): number {
    switch (classes[text.charCodeAt(at)]) {
      case space:
        return at + 1;
      case letter:
        return this.#word(text, at);
      case digit:
        return this.#number(text, at);
      case quote:
        return this.#string(text, at);
      case doubleQuote:
        // A doubled quote opens the next piece of the same name.
        this.#last = 'x';
        return text.indexOf('"', at + 1) + 1 || -1;
      case symbol:
        return this.#symbol(text, at);
      default:
        // Parameters, dollar quotes, backslash commands and what is no part of SQL.
        return -1;
    }
  }

  /** A name or keyword. Those that end at a quote begin another kind of string: E'', B'', X'', N'', U&''. */
  #word(text: string, from: number): number {
    let at = from + 1;
    while (at < text.length && isWordPart(text.charCodeAt(at))) at++;
    const next = text.charCodeAt(at);
    if (at === from + 1) {
      if (next === quoteCode) return -1;
      if (next === ampersandCode && (text[from] === 'u' || text[from] === 'U')) return -1;
    }
    this.#last = text.slice(from, at).toLowerCase();
    return this.#last === 'uescape' ? -1 : at;
  }

  #number(text: string, from: number): number {
    let end = from;
    while (isDigit(text.charCodeAt(end))) end++;
    const isInteger = !isWordPart(text.charCodeAt(end)) && text.charCodeAt(end) !== pointCode;
    if (!isInteger) end = otherNumberEnd(text, end);
    this.#last = '';
    const mayVary = this.#depth === 0 || !this.#modifiers[this.#depth - 1];
    if (isInteger && end - from <= maxDigits && mayVary && !this.#note(from, end)) return -1;
    return end;
  }

  #string(text: string, from: number): number {
    const end = stringEnd(text, from);
    // One that stands behind another may be its continuation (manual, 4.1.2.1).
    if (end < 0 || this.#last === string || !this.#note(from, end)) return -1;
    this.#last = string;
    return end;
  }

  #symbol(text: string, at: number): number {
    const code = text.charCodeAt(at);
    const next = text.charCodeAt(at + 1);
    if (code === minusCode && next === minusCode) return lineEnd(text, at + 2);
    if (code === slashCode && next === starCode) return commentEnd(text, at + 2);
    if (code === openCode) {
      this.#modifiers[this.#depth] = this.#last !== '' && !beforeValues.has(this.#last);
      this.#depth += 1;
    } else if (code === closeCode) this.#depth -= 1;
    // A number may begin with its point.
    if (this.#depth < 0 || (code === pointCode && isDigit(next))) return -1;
    this.#last = code === closeCode || code === bracketCode ? 'x' : '';
    return at + 1;
  }

  #note(start: number, end: number): boolean {
    if (this.count === maxLiterals) return false;
    this.starts[this.count] = start;
    this.ends[this.count] = end;
    this.count += 1;
    return true;
  }
}

/* No valid text has a NUL in it. */
const integerMark = '\0i';
const stringMark = '\0s';
const string = "'";

/** Behind these no type's modifiers can stand. */
const beforeValues = new Set(
  'in values where and or not on select having when then else case limit offset set returning'.split(' '),
);

/** Where the comment's line ends. */
function lineEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x0a || code === 0x0d) return at;
  }
  return text.length;
}

/** Comments nest. */
function commentEnd(text: string, from: number): number {
  let open = 1;
  for (let at = from; at < text.length - 1; at++) {
    const opens = text.charCodeAt(at) === slashCode && text.charCodeAt(at + 1) === starCode;
    if (!opens && !(text.charCodeAt(at) === starCode && text.charCodeAt(at + 1) === slashCode)) continue;
    open += opens ? 1 : -1;
    at += 1;
    if (open === 0) return at + 1;
  }
  return -1;
}

/** A plain string; -1: it has a backslash, or no end. */
function stringEnd(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === backslashCode) return -1;
    if (code !== quoteCode) continue;
    if (text.charCodeAt(at + 1) !== quoteCode) return at + 1;
    at += 1;
  }
  return -1;
}

/** The rest of `1.5`, `1.`, `1e5`; -1: only the lexer should judge (0x1F, 1_000, 5abc, `1..2`). */
function otherNumberEnd(text: string, digitsEnd: number): number {
  let at = digitsEnd;
  if (text.charCodeAt(at) === pointCode) {
    at += 1;
    while (isDigit(text.charCodeAt(at))) at++;
  }
  if ((text.charCodeAt(at) | 0x20) === 0x65) {
    at += 1;
    if (text.charCodeAt(at) === plusCode || text.charCodeAt(at) === minusCode) at += 1;
    if (!isDigit(text.charCodeAt(at))) return -1;
    while (isDigit(text.charCodeAt(at))) at++;
  }
  return text.charCodeAt(at) === pointCode || isWordPart(text.charCodeAt(at)) ? -1 : at;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function isWordPart(code: number): boolean {
  const kind = classes[code];
  return kind === letter || kind === digit || code === dollarCode;
}

const [dollarCode, ampersandCode, quoteCode, openCode, closeCode] = [0x24, 0x26, 0x27, 0x28, 0x29];
const [starCode, plusCode, minusCode, pointCode, slashCode] = [0x2a, 0x2b, 0x2d, 0x2e, 0x2f];
const [backslashCode, bracketCode] = [0x5c, 0x5d];

const [space, letter, digit, quote, doubleQuote, symbol, strange] = [0, 1, 2, 3, 4, 5, 6];

/** By byte: what begins with it. */
const classes = Uint8Array.from({ length: 256 }, (_, code) => classOf(String.fromCharCode(code), code));

function classOf(char: string, code: number): number {
  if (/[ \t\n\r\f\v]/.test(char)) return space!;
  if (/[A-Za-z_]/.test(char) || code >= 0x80) return letter!;
  if (/\d/.test(char)) return digit!;
  if (char === "'") return quote!;
  if (char === '"') return doubleQuote!;
  return '()[],;:=<>+-*/%^|&!~@#.?`'.includes(char) ? symbol! : strange!;
}
