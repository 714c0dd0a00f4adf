import { type PgError, pgError } from '../core/errors.ts';
import { PendingBytes } from './pending-bytes.ts';

/**
 * `row` is a view into the pushed chunk when it lies wholly inside, without its line terminator. `lineNumber` is what
 * PostgreSQL would print in `COPY t, line N`.
 */
export type CopyRowHandler = (row: Buffer, lineNumber: number) => void;

/** Puts together the rows of one COPY: the part of a row that came in earlier chunks, its bound, and the line counter. */
export class RowAssembly {
  readonly #maxRowBytes: number;
  readonly #pending = new PendingBytes();
  /** Lines that ended, those inside of quotes included. */
  lineCount = 0;

  constructor(maxRowBytes: number) {
    this.#maxRowBytes = maxRowBytes;
  }

  get pendingBytes(): number {
    return this.#pending.length;
  }

  keep(part: Buffer): void {
    this.#check(part);
    this.#pending.append(part);
  }

  /** The kept parts and the last one make a row. */
  emit(lastPart: Buffer, onRow: CopyRowHandler): void {
    this.#check(lastPart);
    this.lineCount += 1;
    if (this.#pending.length > 0) {
      this.#pending.append(lastPart);
      lastPart = this.#pending.take();
    }
    onRow(lastPart, this.lineCount);
  }

  #check(part: Buffer): void {
    if (this.#pending.length + part.length > this.#maxRowBytes) {
      throw pgError('programLimitExceeded', `COPY row is longer than ${this.#maxRowBytes} bytes`);
    }
  }
}

export const newline = 0x0a;
export const carriageReturn = 0x0d;
/** Stands for the end of the data where a byte is looked at: equal to none. */
export const endOfData = -1;

/** COPY takes its line terminator from the first line and sticks to it (copyfromparse.c, CopyReadLineText). */
export class LineEnding {
  kind: 'unknown' | 'nl' | 'cr' | 'crnl' = 'unknown';
  readonly #csv: boolean;

  constructor(format: 'text' | 'csv') {
    this.#csv = format === 'csv';
  }

  sawNewline(): void {
    if (this.kind === 'cr' || this.kind === 'crnl') throw this.#stray('newline', '\\n');
    this.kind = 'nl';
  }

  /** True when the carriage return alone ends the row; false when the next byte must be seen first. */
  sawCarriageReturn(): boolean {
    if (this.kind === 'nl') throw this.#stray('carriage return', '\\r');
    return this.kind === 'cr';
  }

  /** The byte after the carriage return of an `unknown` or `crnl`: true when it belongs to the terminator. */
  sawAfterCarriageReturn(byte: number): boolean {
    if (byte !== newline && this.kind === 'crnl') throw this.#stray('carriage return', '\\r');
    this.kind = byte === newline ? 'crnl' : 'cr';
    return byte === newline;
  }

  #stray(what: string, escaped: string): PgError {
    return this.#csv
      ? badCopy(`unquoted ${what} found in data`, `Use quoted CSV field to represent ${what}.`)
      : badCopy(`literal ${what} found in data`, `Use "${escaped}" to represent ${what}.`);
  }
}

export function badCopy(message: string, hint?: string): PgError {
  return pgError('badCopyFileFormat', message, hint === undefined ? {} : { hint });
}
