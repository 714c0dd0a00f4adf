import { unreachable } from '../core/assert.ts';
import { binaryField, countBinaryFields } from '../wire/copy-binary.ts';
import { type CopyCsvOptions, csvField } from '../wire/copy-csv.ts';
import { decodeTextField, textField } from '../wire/copy-text.ts';
import type { CopyOptions } from './copy-options.ts';

/** Where the value of a table's column is found when a row comes in. */
export type FieldSource =
  | { readonly kind: 'field'; readonly place: number }
  /** Among the values that the router adds to the row. */
  | { readonly kind: 'added'; readonly place: number }
  | { readonly kind: 'null' };

/** Reads a field of a row: its bytes, escapes resolved, a view where possible; null for NULL. Throws where there is none. */
export type FieldReader = (row: Buffer) => Buffer | null;

export function fieldReader(place: number, column: string, options: CopyOptions): FieldReader {
  const { bytes, format } = options;
  switch (format) {
    case 'text':
      return textReader(place, bytes);
    case 'csv':
      return csvReader(place, column, options);
    case 'binary':
      return (row) => binaryField(row, place);
    default:
      return unreachable(format);
  }
}

const backslash = 0x5c;

/** The first field of most rows is a few plain bytes: it is found without looking further. */
function textReader(place: number, options: CopyCsvOptions): FieldReader {
  const { delimiter } = options;
  const general: FieldReader = (row) => {
    const { start, end } = textField(row, place, delimiter);
    return decodeTextField(row, start, end, options.null);
  };
  const nullBytes = options.null;
  if (nullBytes.length === 0 || nullBytes[0] !== backslash || delimiter === backslash) return general;
  return (row) => {
    let start = 0;
    let skipped = 0;
    for (let i = 0; i < row.length; i++) {
      const byte = row[i];
      if (byte === backslash) return general(row);
      if (byte !== delimiter) continue;
      if (skipped === place) return row.subarray(start, i);
      skipped += 1;
      start = i + 1;
    }
    return skipped === place ? row.subarray(start) : general(row);
  };
}

/** copyfromparse.c, CopyFromTextLikeOneRow: FORCE_NOT_NULL is looked at before FORCE_NULL, and one of them only. */
function csvReader(place: number, column: string, { bytes, forceNull, forceNotNull }: CopyOptions): FieldReader {
  if (forceNotNull.has(column)) {
    return (row) => csvField(row, place, bytes) ?? bytes.null;
  }
  if (forceNull.has(column)) {
    return (row) => {
      const value = csvField(row, place, bytes);
      return value?.equals(bytes.null) ? null : value;
    };
  }
  return (row) => csvField(row, place, bytes);
}

/** Two tuples of the binary format as one: each is a count and its fields. */
export function joinTuples(first: Buffer, second: Buffer): Buffer {
  const joined = Buffer.allocUnsafe(first.length + second.length - 2);
  joined.writeInt16BE(countBinaryFields(first) + countBinaryFields(second), 0);
  joined.set(first.subarray(2), 2);
  joined.set(second.subarray(2), first.length);
  return joined;
}
