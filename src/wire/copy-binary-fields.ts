import { badCopy } from './copy-lines.ts';

/** Fields of a tuple of COPY's binary format: Int16 count, then per field Int32 length (-1 = NULL) and bytes. */

/** The bytes of field `index` (from 0), as a view; null for NULL. A tuple with fewer fields is refused. */
export function binaryField(tuple: Buffer, index: number): Buffer | null {
  const count = countBinaryFields(tuple);
  if (index >= count) throw badCopy(`row field count is ${count}, expected at least ${index + 1}`);
  let offset = 2;
  for (let skipped = 0; skipped < index; skipped++) offset += 4 + Math.max(sizeAt(tuple, offset), 0);
  const size = sizeAt(tuple, offset);
  return size === -1 ? null : tuple.subarray(offset + 4, offset + 4 + size);
}

export function countBinaryFields(tuple: Buffer): number {
  if (tuple.length < 2) throw badCopy('unexpected EOF in COPY data');
  return tuple.readInt16BE(0);
}

function sizeAt(tuple: Buffer, offset: number): number {
  if (tuple.length - offset < 4) throw badCopy('unexpected EOF in COPY data');
  const size = tuple.readInt32BE(offset);
  if (size < -1) throw badCopy('invalid field size');
  if (size > tuple.length - offset - 4) throw badCopy('unexpected EOF in COPY data');
  return size;
}

/** A tuple; a copy to a server is `copyBinaryHeader`, tuples, `copyBinaryTrailer`. */
export function encodeBinaryRow(values: readonly (Buffer | null)[]): Buffer {
  let bytes = 2;
  for (const value of values) bytes += 4 + (value?.length ?? 0);
  const tuple = Buffer.allocUnsafe(bytes);
  let offset = tuple.writeInt16BE(values.length, 0);
  for (const value of values) {
    offset = tuple.writeInt32BE(value === null ? -1 : value.length, offset);
    if (value !== null) offset += value.copy(tuple, offset);
  }
  return tuple;
}
