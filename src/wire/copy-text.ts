import {
  badCopy,
  type CopyRowHandler,
  carriageReturn,
  endOfData,
  LineEnding,
  newline,
  RowAssembly,
} from './copy-lines.ts';
import type { CopyRowOptions } from './copy-options.ts';

export type { CopyRowHandler } from './copy-lines.ts';
export { type CopyTextOptions, copyTextDefaults } from './copy-options.ts';
export { countTextFields, decodeTextField, encodeTextRow, textField } from './copy-text-fields.ts';

const backslash = 0x5c;
const period = 0x2e;

/**
 * What the bytes before mean for the next one. `afterCr`: the row is complete, and a newline may still belong to its
 * terminator. `afterMarker`: a `\.` stands there; `afterMarkerCr`: and a carriage return. `ended`: what follows is ignored,
 * as PostgreSQL ignores it.
 */
type State = 'plain' | 'afterBackslash' | 'afterCr' | 'afterMarker' | 'afterMarkerCr' | 'ended';

/**
 * Cuts COPY's text format into rows, wherever the chunks end, as PostgreSQL's CopyReadLineText does: the same rows, errors
 * and line numbers. An error, its own or the handler's, ends the copy: the splitter is of no use afterwards.
 */
export class CopyTextRows {
  readonly #rows: RowAssembly;
  readonly #ending = new LineEnding('text');
  #state: State = 'plain';
  /** Nothing stood before the last backslash on its line: only there may a period make it the end marker. */
  #backslashIsFirst = false;

  constructor(options: CopyRowOptions) {
    this.#rows = new RowAssembly(options.maxRowBytes);
  }

  /** Lines that ended: one less than the number of the line that an error is in. */
  get lineCount(): number {
    return this.#rows.lineCount;
  }

  /** The end marker was read. */
  get ended(): boolean {
    return this.#state === 'ended';
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
    const specials = new Specials(chunk);
    while (i < chunk.length && this.#state !== 'ended') {
      if (this.#state === 'plain') {
        i = specials.nextFrom(i);
        if (i === chunk.length) break;
        if (this.#readSpecial(chunk, start, i, onRow)) start = i + 1;
        i += 1;
      } else if (this.#state === 'afterCr') {
        if (this.#endAfterCr(chunk[i]!, onRow)) i += 1;
        start = i;
      } else {
        this.#readEscaped(chunk[i]!);
        i += 1;
      }
    }
    if (this.#state !== 'afterCr' && this.#state !== 'ended') this.#rows.keep(chunk.subarray(start));
  }

  /** The data are complete; a last row without terminator is a row. */
  finish(onRow: CopyRowHandler): void {
    if (this.#state === 'afterCr') this.#endAfterCr(endOfData, onRow);
    else if (this.#state === 'afterMarker' || this.#state === 'afterMarkerCr') this.#readEscaped(endOfData);
    else if (this.#state !== 'ended' && this.#rows.pendingBytes > 0) this.#rows.emit(nothing, onRow);
    this.#state = 'ended';
  }

  /** A terminator or backslash at `i` of a row that starts at `start`: true when the row has been handed out. */
  #readSpecial(chunk: Buffer, start: number, i: number, onRow: CopyRowHandler): boolean {
    const byte = chunk[i];
    if (byte === backslash) {
      this.#backslashIsFirst = i === start && this.#rows.pendingBytes === 0;
      this.#state = 'afterBackslash';
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

  /** Whatever follows a backslash is data, a terminator too; a period makes the end marker, if alone on its line. */
  #readEscaped(byte: number): void {
    if (this.#state === 'afterBackslash') {
      this.#state = byte === period ? 'afterMarker' : 'plain';
      return;
    }
    const ending = this.#ending.kind;
    if (ending === 'crnl' && this.#state === 'afterMarker') {
      if (byte === newline) throw badCopy(markerEndsOtherwise);
      if (byte !== carriageReturn) throw badCopy(markerNotAlone);
      this.#state = 'afterMarkerCr';
      return;
    }
    if (byte !== newline && byte !== carriageReturn) throw badCopy(markerNotAlone);
    if (ending !== 'unknown' && byte !== (ending === 'cr' ? carriageReturn : newline))
      throw badCopy(markerEndsOtherwise);
    if (!this.#backslashIsFirst) throw badCopy(markerNotAlone);
    this.#state = 'ended';
  }
}

/**
 * The places in a chunk of the bytes that mean something. Each kind is looked for by the engine's own search, and no further than
 * its next place: several times as fast as a loop over bytes, since two of the three are rare.
 */
class Specials {
  readonly #chunk: Buffer;
  #newline = -1;
  #carriageReturn = -1;
  #backslash = -1;

  constructor(chunk: Buffer) {
    this.#chunk = chunk;
  }

  nextFrom(from: number): number {
    if (this.#newline < from) this.#newline = this.#find(newline, from);
    if (this.#carriageReturn < from) this.#carriageReturn = this.#find(carriageReturn, from);
    if (this.#backslash < from) this.#backslash = this.#find(backslash, from);
    return Math.min(this.#newline, this.#carriageReturn, this.#backslash);
  }

  #find(byte: number, from: number): number {
    const at = this.#chunk.indexOf(byte, from);
    return at < 0 ? this.#chunk.length : at;
  }
}

const nothing = Buffer.alloc(0);
const markerNotAlone = 'end-of-copy marker is not alone on its line';
const markerEndsOtherwise = 'end-of-copy marker does not match previous newline style';
