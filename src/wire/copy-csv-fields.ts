import { badCopy } from './copy-lines.ts';
import type { CopyCsvOptions } from './copy-options.ts';

/** Fields of a row of COPY's CSV format (copyfromparse.c, CopyReadAttributesCSV; copyto.c, CopyAttributeOutCSV). */

/**
 * The value of field `index` (from 0): quotes and escapes resolved, null for the null string where it is not quoted. A view
 * when nothing is quoted. A row with fewer fields is refused.
 */
export function csvField(row: Buffer, index: number, options: CopyCsvOptions): Buffer | null {
  let start = 0;
  for (let skipped = 0; skipped < index; skipped++) {
    const end = fieldEnd(row, start, options);
    if (end === row.length) throw badCopy(`missing data for column ${index + 1}`);
    start = end + 1;
  }
  const raw = row.subarray(start, fieldEnd(row, start, options));
  if (raw.includes(options.quote)) return unquote(raw, options);
  return raw.equals(options.null) ? null : raw;
}

/** At least 1: an empty row is one empty field. */
export function countCsvFields(row: Buffer, options: CopyCsvOptions): number {
  let count = 1;
  for (let end = fieldEnd(row, 0, options); end < row.length; end = fieldEnd(row, end + 1, options)) count += 1;
  return count;
}

function fieldEnd(row: Buffer, start: number, options: CopyCsvOptions): number {
  const { delimiter, quote } = options;
  for (let i = start; i < row.length; i++) {
    const byte = row[i];
    if (byte === delimiter) return i;
    if (byte === quote) i = closingQuote(row, i + 1, options);
  }
  return row.length;
}

function closingQuote(row: Buffer, from: number, { quote, escape: escapeByte }: CopyCsvOptions): number {
  for (let i = from; i < row.length; i++) {
    const byte = row[i];
    // Escape before quote: they are usually the same character.
    if (byte === escapeByte && (row[i + 1] === escapeByte || row[i + 1] === quote)) i += 1;
    else if (byte === quote) return i;
  }
  throw badCopy('unterminated CSV quoted field');
}

/** Quoting may start and stop anywhere in a field: `a"b,c"d` is one value. */
function unquote(raw: Buffer, options: CopyCsvOptions): Buffer {
  const { quote, escape: escapeByte } = options;
  const value = Buffer.allocUnsafe(raw.length);
  let length = 0;
  let quoted = false;
  for (let i = 0; i < raw.length; i++) {
    const byte = raw[i]!;
    const next = raw[i + 1];
    if (quoted && byte === escapeByte && (next === escapeByte || next === quote)) {
      value[length++] = next;
      i += 1;
    } else if (byte === quote) {
      quoted = !quoted;
    } else {
      value[length++] = byte;
    }
  }
  return value.subarray(0, length);
}

/** A row as COPY TO writes it, with its newline: quoted only where it must be. */
export function encodeCsvRow(values: readonly (Buffer | null)[], options: CopyCsvOptions): Buffer {
  const separator = Buffer.of(options.delimiter);
  const parts: Buffer[] = [];
  for (const value of values) {
    if (parts.length > 0) parts.push(separator);
    if (value === null) parts.push(options.null);
    else parts.push(needsQuotes(value, values.length === 1, options) ? quoteCsv(value, options) : value);
  }
  parts.push(newlineBytes);
  return Buffer.concat(parts);
}

const newlineBytes = Buffer.from('\n');
const endMarker = Buffer.from('\\.');

function needsQuotes(value: Buffer, alone: boolean, options: CopyCsvOptions): boolean {
  // Servers before 18 end the data at a line that is `\.`.
  if (value.equals(options.null) || (alone && value.equals(endMarker))) return true;
  for (const byte of value) {
    if (byte === options.delimiter || byte === options.quote || byte === 0x0a || byte === 0x0d) return true;
  }
  return false;
}

function quoteCsv(value: Buffer, { quote, escape: escapeByte }: CopyCsvOptions): Buffer {
  let escapes = 0;
  for (const byte of value) if (byte === quote || byte === escapeByte) escapes += 1;
  const quoted = Buffer.allocUnsafe(value.length + escapes + 2);
  let length = 0;
  quoted[length++] = quote;
  for (const byte of value) {
    if (byte === quote || byte === escapeByte) quoted[length++] = escapeByte;
    quoted[length++] = byte;
  }
  quoted[length] = quote;
  return quoted;
}
