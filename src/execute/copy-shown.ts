import { PgError } from '../core/errors.ts';
import { csvField } from '../wire/copy-csv.ts';
import { textField } from '../wire/copy-text.ts';
import type { CopyOptions } from './copy-options.ts';

/**
 * The context of an error quotes the line, or its beginning; the fields that the router put in front of it are not the client's.
 * `data` is what stands behind the opening quote of the context.
 */
export function shownData(data: string, addedCount: number, options: CopyOptions): string {
  if (addedCount === 0) return data;
  const bytes = Buffer.from(data);
  try {
    return bytes.toString('utf8', endOfFields(bytes, addedCount, options));
  } catch (error) {
    if (error instanceof PgError) return data;
    throw error;
  }
}

function endOfFields(bytes: Buffer, count: number, options: CopyOptions): number {
  const { delimiter } = options.bytes;
  if (options.format === 'text') return textField(bytes, count, delimiter).start;
  // Fields of CSV are found by value: the shortest beginning that has one field more than was added.
  for (let end = bytes.indexOf(delimiter); end >= 0; end = bytes.indexOf(delimiter, end + 1)) {
    const start = end + 1;
    if (hasField(bytes.subarray(0, start), count, options)) return start;
  }
  return 0;
}

function hasField(row: Buffer, index: number, options: CopyOptions): boolean {
  try {
    csvField(row, index, options.bytes);
    return true;
  } catch {
    return false;
  }
}
