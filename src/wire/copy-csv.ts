import {
  badCopy,
  type CopyRowHandler,
  carriageReturn,
  endOfData,
  LineEnding,
  newline,
  RowAssembly,
} from './copy-lines.ts';
import { type CopyRowOptions, copyCsvDefaults } from './copy-options.ts';

export { countCsvFields, csvField, encodeCsvRow } from './copy-csv-fields.ts';
export type { CopyRowHandler } from './copy-lines.ts';
export { type CopyCsvOptions, copyCsvDefaults } from './copy-options.ts';

/** `quoted`: a terminator is data. `afterCr`: the row is complete, and a newline may still belong to its terminator. */
type State = 'plain' | 'quoted' | 'afterCr';

/**
 * Cuts COPY's CSV format into rows, wherever the chunks end, as PostgreSQL's CopyReadLineText does: the same rows, errors
 * and line numbers. A `\.` is data, as since PostgreSQL 18. An error ends the copy: the splitter is of no use afterwards.
 */
export class CopyCsvRows {
  readonly #rows: RowAssembly;
  readonly #ending = new LineEnding('csv');
  readonly #quote: number;
  /** `endOfData`, equal to no byte, when it is the quote: a doubled quote ends and starts quoting, which cuts alike. */
  readonly #escape: number;
  #state: State = 'plain';
  #lastWasEscape = false;

  constructor(options: CopyRowOptions) {
    this.#rows = new RowAssembly(options.maxRowBytes);
    this.#quote = options.quote ?? copyCsvDefaults.quote;
    const escapeByte = options.escape ?? this.#quote;
    this.#escape = escapeByte === this.#quote ? endOfData : escapeByte;
  }

  /** Lines that ended: one less than the number of the line that an error is in. */
  get lineCount(): number {
    return this.#rows.lineCount;
  }

  /** A row begins here, and a newline alone ends it. */
  get isAtPlainRow(): boolean {
    return this.#state === 'plain' && this.#rows.pendingBytes === 0 && this.#ending.kind === 'nl';
  }

  /** So many rows, of one line each, have been read otherwise. */
  skipRows(count: number): void {
    this.#rows.lineCount += count;
  }

  push(chunk: Buffer, onRow: CopyRowHandler): void {
    let start = 0;
    let i = 0;
    while (i < chunk.length) {
      if (this.#state === 'quoted') {
        i = this.#skipQuoted(chunk, i);
      } else if (this.#state === 'afterCr') {
        if (this.#endAfterCr(chunk[i]!, onRow)) i += 1;
        start = i;
      } else {
        i = this.#skipPlain(chunk, i);
        if (i === chunk.length) break;
        if (this.#readSpecial(chunk, start, i, onRow)) start = i + 1;
        i += 1;
      }
    }
    if (this.#state !== 'afterCr') this.#rows.keep(chunk.subarray(start));
  }

  /** The data are complete; a last row without terminator is a row, unless a quote is open. */
  finish(onRow: CopyRowHandler): void {
    if (this.#state === 'quoted') throw badCopy('unterminated CSV quoted field');
    if (this.#state === 'afterCr') this.#endAfterCr(endOfData, onRow);
    else if (this.#rows.pendingBytes > 0) this.#rows.emit(nothing, onRow);
  }

  /** The next quote or terminator. An escape outside of quotes has no meaning. */
  #skipPlain(chunk: Buffer, from: number): number {
    const quote = this.#quote;
    for (let i = from; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte === newline || byte === carriageReturn || byte === quote) return i;
    }
    return chunk.length;
  }

  /** Behind the quote that closes, or the chunk's end. */
  #skipQuoted(chunk: Buffer, from: number): number {
    const quote = this.#quote;
    // PostgreSQL counts lines inside of quotes by the terminator it knows, and by \r while it knows none.
    const lineByte = this.#ending.kind === 'nl' ? newline : carriageReturn;
    for (let i = from; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte === this.#escape) {
        this.#lastWasEscape = !this.#lastWasEscape;
      } else if (byte === quote && !this.#lastWasEscape) {
        this.#state = 'plain';
        return i + 1;
      } else {
        this.#lastWasEscape = false;
        if (byte === lineByte) this.#rows.lineCount += 1;
      }
    }
    return chunk.length;
  }

  /** A quote or terminator at `i` of a row that starts at `start`: true when the row has been handed out. */
  #readSpecial(chunk: Buffer, start: number, i: number, onRow: CopyRowHandler): boolean {
    const byte = chunk[i];
    if (byte === this.#quote) {
      this.#state = 'quoted';
      return false;
    }
    if (byte === newline) {
      this.#ending.sawNewline();
    } else if (!this.#ending.sawCarriageReturn()) {
      this.#rows.keep(chunk.subarray(start, i));
      this.#state = 'afterCr';
      return false;
    }
    this.#rows.emit(chunk.subarray(start, i), onRow);
    return true;
  }

  #endAfterCr(byte: number, onRow: CopyRowHandler): boolean {
    const consumed = this.#ending.sawAfterCarriageReturn(byte);
    this.#state = 'plain';
    this.#rows.emit(nothing, onRow);
    return consumed;
  }
}

const nothing = Buffer.alloc(0);
