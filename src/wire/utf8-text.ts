import { isUtf8 } from 'node:buffer';
import { pgError } from '../core/errors.ts';

/**
 * Text in `bytes[start, end)`. Invalid UTF-8 is refused as PostgreSQL refuses it (22021): JavaScript would put U+FFFD in
 * its place, and the statement or name would silently become another one.
 */
export function decodeUtf8(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  // U+FFFD stands for a broken sequence or for itself; a look at the bytes is needed only when one is there.
  if (text.includes('\ufffd')) refuseInvalid(bytes.subarray(start, end));
  return text;
}

function refuseInvalid(bytes: Buffer): void {
  if (isUtf8(bytes)) return;
  let at = 0;
  while (at < bytes.length) {
    const sequenceBytes = sequenceLength(bytes[at]!);
    const sequence = bytes.subarray(at, at + sequenceBytes);
    if (sequence.length < sequenceBytes || !isUtf8(sequence)) throw invalidSequence(sequence);
    at += sequenceBytes;
  }
}

/** pg_utf_mblen: the length that the first byte promises; 1 for a byte that can't be first. */
function sequenceLength(first: number): number {
  if ((first & 0xe0) === 0xc0) return 2;
  if ((first & 0xf0) === 0xe0) return 3;
  if ((first & 0xf8) === 0xf0) return 4;
  return 1;
}

function invalidSequence(sequence: Buffer): Error {
  const bytes = Array.from(sequence, (byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(' ');
  return pgError('characterNotInRepertoire', `invalid byte sequence for encoding "UTF8": ${bytes}`);
}

/**
 * Bytes of `text` as a zero-terminated string. A NUL inside would end it early and turn the rest into other fields of the
 * message, so it is refused here, once for every encoder.
 */
export function terminatedBytes(text: string): number {
  if (text.includes('\0')) {
    throw pgError('characterNotInRepertoire', 'invalid byte sequence for encoding "UTF8": 0x00');
  }
  return Buffer.byteLength(text) + 1;
}
