import { PgError, pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { CopyBinaryRows } from '../wire/copy-binary.ts';
import { CopyCsvRows, countCsvFields } from '../wire/copy-csv.ts';
import { newline } from '../wire/copy-lines.ts';
import { CopyTextRows, countTextFields } from '../wire/copy-text.ts';
import { fieldReader } from './copy-fields.ts';
import { atLine } from './copy-line-map.ts';
import type { PlainRowHandler, PlainRows } from './copy-plain-rows.ts';
import type { CopyTarget } from './copy-target.ts';

/** `embedded`: line ends inside the row. */
export type RowHandler = (row: Buffer, line: number, embedded: number) => void;

/** Takes rows of the common kind; `end`: no more of this chunk. */
export interface PlainLines {
  row(...row: [...Parameters<PlainRowHandler>, line: number]): void;
  end(chunk: Buffer): void;
}

/** `\.` alone on a line ends CSV data up to PostgreSQL 17. */
const endMarker = Buffer.from('\\.');
const firstWithoutEndMarker = 180_000;

/** Cuts a client's data into rows, header left out. Errors say the line. */
export class CopyRowSource {
  readonly #target: CopyTarget;
  readonly #rows: CopyTextRows | CopyCsvRows | CopyBinaryRows;
  readonly #endsAtMarker: boolean;
  #headerPending: boolean;
  #lastLine = 0;
  #ended = false;
  /** The last row, which no line end follows, is being read. */
  #finishing = false;
  #onRow: RowHandler = () => {};

  constructor(target: CopyTarget, lowestServerVersion: number) {
    this.#target = target;
    const { format, bytes, header } = target.options;
    const options = { ...bytes, maxRowBytes: limits.maxClientFrameBytes };
    if (format === 'csv') this.#rows = new CopyCsvRows(options);
    else this.#rows = format === 'text' ? new CopyTextRows(options) : new CopyBinaryRows(options);
    this.#endsAtMarker = format === 'csv' && lowestServerVersion < firstWithoutEndMarker;
    this.#headerPending = header !== 'none';
  }

  /** The number of the line that is being read. */
  get line(): number {
    return this.#rows.lineCount + 1;
  }

  push(chunk: Buffer, onRow: RowHandler): void {
    if (this.#ended) return;
    this.#onRow = onRow;
    this.#located(() => this.#rows.push(chunk, this.#take));
  }

  /** As `push`; rows of the common kind are taken by `plain`, and given on with their line. */
  pushPlain(chunk: Buffer, onRow: RowHandler, plain: PlainRows, lines: PlainLines): void {
    const rows = this.#rows;
    if (rows instanceof CopyBinaryRows) {
      this.push(chunk, onRow);
      return;
    }
    let at = 0;
    if (!rows.isAtPlainRow || this.#headerPending) {
      at = chunk.indexOf(newline) + 1;
      this.push(chunk.subarray(0, at === 0 ? chunk.length : at), onRow);
      if (at === 0) return;
    }
    if (rows.isAtPlainRow && !this.#headerPending && !this.#ended) {
      at = plain.take(chunk, at, (shard, bytes, start, end) => {
        rows.skipRows(1);
        this.#lastLine = rows.lineCount;
        lines.row(shard, bytes, start, end, rows.lineCount);
      });
      lines.end(chunk);
    }
    if (at < chunk.length) this.push(chunk.subarray(at), onRow);
  }

  finish(onRow: RowHandler): void {
    if (this.#ended) return;
    this.#onRow = onRow;
    this.#finishing = true;
    this.#located(() => this.#rows.finish(this.#take));
  }

  readonly #take = (row: Buffer, line: number): void => {
    const embedded = line - this.#lastLine - 1;
    this.#lastLine = line;
    if (this.#headerPending) {
      this.#headerPending = false;
      if (this.#target.options.header === 'match') checkHeader(row, line, this.#target);
      return;
    }
    if (this.#ended || (this.#endsAtMarker && row.length === 2 && row.equals(endMarker))) {
      this.#ended = true;
      return;
    }
    const whole = this.#finishing && this.#target.options.format === 'text' ? withoutOpenEscape(row) : row;
    this.#onRow(whole, line, embedded);
  };

  #located(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof PgError)) throw error;
      throw atLine(error, this.#target.table.name, this.line);
    }
  }
}

/** A backslash as the very last byte escapes nothing; with the newline that a server gets after it, it would. */
function withoutOpenEscape(row: Buffer): Buffer {
  let backslashes = 0;
  while (backslashes < row.length && row[row.length - 1 - backslashes] === 0x5c) backslashes += 1;
  return backslashes % 2 === 1 ? row.subarray(0, -1) : row;
}

/** HEADER MATCH: copyfromparse.c, NextCopyFromRawFields. */
function checkHeader(row: Buffer, line: number, { table, columns, options }: CopyTarget): void {
  const refuse = (message: string) => atLine(pgError('badCopyFileFormat', message), table.name, line);
  const count =
    options.format === 'csv' ? countCsvFields(row, options.bytes) : countTextFields(row, options.bytes.delimiter);
  if (count !== columns.length) {
    throw refuse(`wrong number of fields in header line: got ${count}, expected ${columns.length}`);
  }
  const plain = { ...options, forceNull: new Set<string>(), forceNotNull: new Set<string>() };
  for (const [place, expected] of columns.entries()) {
    const name = fieldReader(place, expected, plain)(row)?.toString('utf8') ?? null;
    if (name === expected) continue;
    const got = name === null ? `null value ("${options.bytes.null.toString('utf8')}")` : `"${name}"`;
    throw refuse(`column name mismatch in header line field ${place + 1}: got ${got}, expected "${expected}"`);
  }
}
