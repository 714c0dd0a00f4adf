import { badCopy } from './copy-lines.ts';
import type { CopyTextOptions } from './copy-options.ts';

/** Fields of a row of COPY's text format (copyfromparse.c, CopyReadAttributesText; copyto.c, CopyAttributeOutText). */

const backslash = 0x5c;

/** Where field `index` (from 0) lies in the row, still escaped. A row with fewer fields is refused. */
export function textField(row: Buffer, index: number, delimiter: number): { start: number; end: number } {
  let start = 0;
  for (let skipped = 0; skipped < index; skipped++) {
    const end = fieldEnd(row, start, delimiter);
    if (end === row.length) throw badCopy(`missing data for column ${index + 1}`);
    start = end + 1;
  }
  return { start, end: fieldEnd(row, start, delimiter) };
}

/** At least 1: an empty row is one empty field. */
export function countTextFields(row: Buffer, delimiter: number): number {
  let count = 1;
  for (let end = fieldEnd(row, 0, delimiter); end < row.length; end = fieldEnd(row, end + 1, delimiter)) count += 1;
  return count;
}

function fieldEnd(row: Buffer, start: number, delimiter: number): number {
  for (let i = start; i < row.length; i++) {
    const byte = row[i];
    if (byte === delimiter) return i;
    if (byte === backslash) i += 1;
  }
  return row.length;
}

/**
 * The value in `row[start, end)`: null when it is the null string as written, else with its escapes resolved. A view when
 * there are none.
 */
export function decodeTextField(row: Buffer, start: number, end: number, nullBytes: Buffer): Buffer | null {
  const raw = row.subarray(start, endsInOpenEscape(row, start, end) ? end - 1 : end);
  if (raw.equals(nullBytes)) return null;
  const firstEscape = raw.indexOf(backslash);
  return firstEscape === -1 ? raw : resolveEscapes(raw, firstEscape);
}

/** A backslash as the very last byte of the data escapes nothing: PostgreSQL drops it, even before it looks for NULL. */
function endsInOpenEscape(row: Buffer, start: number, end: number): boolean {
  let backslashes = 0;
  while (backslashes < end - start && row[end - 1 - backslashes] === backslash) backslashes += 1;
  return backslashes % 2 === 1;
}

function resolveEscapes(raw: Buffer, firstEscape: number): Buffer {
  const value = Buffer.allocUnsafe(raw.length);
  raw.copy(value, 0, 0, firstEscape);
  let length = firstEscape;
  let i = firstEscape;
  while (i < raw.length) {
    const byte = raw[i++]!;
    if (byte !== backslash) {
      value[length++] = byte;
    } else {
      const escapeBytes = escapeLength(raw, i);
      value[length++] = escapedByte(raw, i, escapeBytes);
      i += escapeBytes;
    }
  }
  return value.subarray(0, length);
}

/** Bytes after the backslash that belong to it: up to three octal digits, x and up to two hexadecimal ones, or one byte. */
function escapeLength(raw: Buffer, at: number): number {
  const hexadecimal = raw[at] === 0x78; // x
  const isDigit = hexadecimal ? isHexDigit : isOctalDigit;
  const maxBytes = 3;
  let length = hexadecimal ? 1 : 0;
  while (length < maxBytes && isDigit(raw[at + length])) length += 1;
  return Math.max(length, 1);
}

function escapedByte(raw: Buffer, at: number, escapeBytes: number): number {
  const first = raw[at]!;
  // The top bit of \777 is cut off, as PostgreSQL does.
  if (isOctalDigit(first)) return Number.parseInt(raw.toString('latin1', at, at + escapeBytes), 8) & 0xff;
  if (first === 0x78 && escapeBytes > 1) return Number.parseInt(raw.toString('latin1', at + 1, at + escapeBytes), 16);
  return letterToByte.get(first) ?? first;
}

function isOctalDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x37;
}

function isHexDigit(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const lower = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x66);
}

/** \b \f \n \r \t \v; any other byte after a backslash stands for itself. */
const letterToByte: ReadonlyMap<number, number> = new Map([
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
  [0x76, 0x0b],
]);
const byteToLetter: ReadonlyMap<number, number> = new Map(Array.from(letterToByte, ([letter, byte]) => [byte, letter]));

/** A row as COPY TO writes it, with its newline. */
export function encodeTextRow(values: readonly (Buffer | null)[], options: CopyTextOptions): Buffer {
  const separator = Buffer.of(options.delimiter);
  const parts: Buffer[] = [];
  for (const value of values) {
    if (parts.length > 0) parts.push(separator);
    parts.push(value === null ? options.null : escapeText(value, options.delimiter));
  }
  parts.push(newlineBytes);
  return Buffer.concat(parts);
}

const newlineBytes = Buffer.from('\n');

function escapeText(value: Buffer, delimiter: number): Buffer {
  let escapes = 0;
  for (const byte of value) if (escapeFor(byte, delimiter) !== undefined) escapes += 1;
  if (escapes === 0) return value;
  const escaped = Buffer.allocUnsafe(value.length + escapes);
  let length = 0;
  for (const byte of value) {
    const letter = escapeFor(byte, delimiter);
    if (letter !== undefined) escaped[length++] = backslash;
    escaped[length++] = letter ?? byte;
  }
  return escaped;
}

/** What to write after a backslash for this byte; undefined when it goes out as it is. */
function escapeFor(byte: number, delimiter: number): number | undefined {
  if (byte > backslash && byte !== delimiter) return undefined;
  return byteToLetter.get(byte) ?? (byte === backslash || byte === delimiter ? byte : undefined);
}
