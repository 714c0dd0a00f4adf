import { unreachable } from '../core/assert.ts';
import { badCopy, type CopyRowHandler, RowAssembly } from './copy-lines.ts';
import type { CopyRowOptions } from './copy-options.ts';

export { binaryField, countBinaryFields, encodeBinaryRow } from './copy-binary-fields.ts';
export type { CopyRowHandler } from './copy-lines.ts';

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const fixedHeaderBytes = signature.length + 8;

/** Signature, no flags, no extension. Shared by all that send it: never written into. */
export const copyBinaryHeader: Buffer = Buffer.concat([signature, Buffer.alloc(8)]);
/** The field count -1, which ends the data. */
export const copyBinaryTrailer: Buffer = Buffer.from([0xff, 0xff]);

/**
 * What the next bytes are. `header`: the fixed part; `extension`: what follows it, skipped; `count`: a tuple's field count;
 * `size`: a field's length; `field`: its bytes; `ended`: the trailer was read.
 */
type State = 'header' | 'extension' | 'count' | 'size' | 'field' | 'ended';

/**
 * Cuts COPY's binary format into tuples (field count, then per field its length and bytes), wherever the chunks end; header
 * and trailer are checked and left out. Errors are PostgreSQL's; any error ends the copy.
 */
export class CopyBinaryRows {
  readonly #rows: RowAssembly;
  #state: State = 'header';
  /** Bytes that the state still needs before it can be left. */
  #missingBytes = fixedHeaderBytes;
  #header: Buffer = nothing;
  /** The count or size as far as it was read. */
  #number = 0;
  #fieldsLeft = 0;

  constructor(options: CopyRowOptions) {
    this.#rows = new RowAssembly(options.maxRowBytes);
  }

  /** Tuples handed out: one less than the number of the line that an error is in. */
  get lineCount(): number {
    return this.#rows.lineCount;
  }

  /** The trailer was read. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  push(chunk: Buffer, onRow: CopyRowHandler): void {
    let start = 0;
    let i = 0;
    while (i < chunk.length) {
      const end = Math.min(i + this.#missingBytes, chunk.length);
      this.#read(chunk, i, end);
      this.#missingBytes -= end - i;
      i = end;
      if (this.#missingBytes > 0) break;
      const tupleEnded = this.#advance();
      if (tupleEnded) this.#rows.emit(chunk.subarray(start, i), onRow);
      if (this.#state === 'count') start = i;
    }
    const insideTuple = this.#state === 'count' || this.#state === 'size' || this.#state === 'field';
    if (insideTuple) this.#rows.keep(chunk.subarray(start));
  }

  /** The data are complete. PostgreSQL takes them without a trailer too, if they end where a tuple does. */
  finish(_onRow: CopyRowHandler): void {
    switch (this.#state) {
      case 'header':
        throw incompleteHeader(this.#header);
      case 'extension':
        throw badCopy('invalid COPY file header (wrong length)');
      case 'count':
        if (this.#missingBytes !== countBytes) throw badCopy('unexpected EOF in COPY data');
        break;
      case 'size':
      case 'field':
        throw badCopy('unexpected EOF in COPY data');
      case 'ended':
        break;
      default:
        unreachable(this.#state);
    }
  }

  #read(chunk: Buffer, from: number, end: number): void {
    if (this.#state === 'ended') throw badCopy('received copy data after EOF marker');
    if (this.#state === 'header') this.#header = Buffer.concat([this.#header, chunk.subarray(from, end)]);
    else if (this.#state === 'count' || this.#state === 'size') {
      for (let i = from; i < end; i++) this.#number = (this.#number << 8) | chunk[i]!;
    }
  }

  /** All bytes of the state are there: on to the next one. True when they were the last of a tuple. */
  #advance(): boolean {
    switch (this.#state) {
      case 'header': {
        const extensionBytes = readHeader(this.#header);
        this.#need(extensionBytes === 0 ? 'count' : 'extension', extensionBytes === 0 ? countBytes : extensionBytes);
        return false;
      }
      case 'extension':
        this.#need('count', countBytes);
        return false;
      case 'count':
        return this.#startTuple((this.#number << 16) >> 16);
      case 'size':
        return this.#startField(this.#number);
      case 'field':
        this.#fieldsLeft -= 1;
        return this.#nextField();
      case 'ended':
        return false;
      default:
        return unreachable(this.#state);
    }
  }

  #startTuple(fieldCount: number): boolean {
    if (fieldCount === -1) {
      this.#need('ended', 1);
      return false;
    }
    if (fieldCount < 0) throw badCopy(`row field count is ${fieldCount}`);
    this.#fieldsLeft = fieldCount;
    return this.#nextField();
  }

  #startField(size: number): boolean {
    if (size < -1) throw badCopy('invalid field size');
    if (size > 0) {
      this.#need('field', size);
      return false;
    }
    this.#fieldsLeft -= 1;
    return this.#nextField();
  }

  #nextField(): boolean {
    if (this.#fieldsLeft > 0) this.#need('size', sizeBytes);
    else this.#need('count', countBytes);
    return this.#fieldsLeft === 0;
  }

  #need(state: State, bytes: number): void {
    this.#state = state;
    this.#missingBytes = bytes;
    this.#number = 0;
  }
}

/** Checks the fixed part of the header; returns how many bytes of extension follow. */
function readHeader(header: Buffer): number {
  if (!header.subarray(0, signature.length).equals(signature)) throw badCopy('COPY file signature not recognized');
  const flags = header.readUInt32BE(signature.length);
  if ((flags & oidsFlag) !== 0) throw badCopy('invalid COPY file header (WITH OIDS)');
  // Bits 0-15 may be ignored by who does not know them, 16-31 may not.
  if (flags >>> 16 !== 0) throw badCopy('unrecognized critical flags in COPY file header');
  const extensionBytes = header.readInt32BE(signature.length + 4);
  if (extensionBytes < 0) throw badCopy('invalid COPY file header (missing length)');
  return extensionBytes;
}

function incompleteHeader(header: Buffer): Error {
  if (!header.subarray(0, signature.length).equals(signature)) return badCopy('COPY file signature not recognized');
  const missing = header.length < signature.length + 4 ? 'flags' : 'length';
  return badCopy(`invalid COPY file header (missing ${missing})`);
}

const countBytes = 2;
const sizeBytes = 4;
const oidsFlag = 1 << 16;
const nothing: Buffer = Buffer.alloc(0);
