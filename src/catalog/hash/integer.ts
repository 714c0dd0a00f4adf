import type { KeyDatum, KeyType } from './datum.ts';
import type { Hash64 } from './hash64.ts';
import { hashUint32 } from './lookup3.ts';

/** Everything that PostgreSQL hashes as an integer: the hash of a value is the same whatever its width. */
export function integerType(decodeText: DecodeText, decodeBinary: DecodeBinary): KeyType {
  return {
    decode: (format, bytes, into) => (format === 0 ? decodeText(bytes, into) : decodeBinary(bytes, into)),
    hash: hashInteger,
    identity: integerIdentity,
    compare: compareIntegers,
  };
}

type DecodeText = (text: Buffer, into: KeyDatum) => boolean;
type DecodeBinary = (bytes: Buffer, into: KeyDatum) => boolean;

/** hashint8extended: both halves folded so that int2, int4 and int8 agree. */
export function hashInteger(datum: KeyDatum, out: Hash64): void {
  hashUint32(datum.low ^ (datum.high >= 0 ? datum.high : ~datum.high), out);
}

export function integerIdentity({ high, low }: KeyDatum): string | number {
  const value = high * 0x1_0000_0000 + low;
  return Number.isSafeInteger(value) ? value : `${high}:${low}`;
}

export function compareIntegers(a: KeyDatum, b: KeyDatum): number {
  return a.high === b.high ? a.low - b.low : a.high - b.high;
}

/** An exact number of at most 53 bits. */
export function setInteger(into: KeyDatum, value: number): void {
  into.high = Math.floor(value / 0x1_0000_0000) | 0;
  into.low = value >>> 0;
}

/** `seconds * 1e6 + micros`, for |seconds| up to 2^40: products of 32-bit halves with 1e6 are exact. */
export function setMicroseconds(into: KeyDatum, seconds: number, micros: number): void {
  const upper = Math.floor(seconds / 0x1_0000_0000);
  const low = (seconds - upper * 0x1_0000_0000) * 1e6 + micros;
  const carry = Math.floor(low / 0x1_0000_0000);
  into.high = (upper * 1e6 + carry) | 0;
  into.low = low >>> 0;
}

export function decodeInt2(bytes: Buffer, into: KeyDatum): boolean {
  if (bytes.length !== 2) return false;
  setInt32(into, ((bytes[0]! << 24) >> 16) | bytes[1]!);
  return true;
}

export function decodeInt4(bytes: Buffer, into: KeyDatum): boolean {
  if (bytes.length !== 4) return false;
  setInt32(into, bigEndian(bytes, 0));
  return true;
}

export function decodeUint4(bytes: Buffer, into: KeyDatum): boolean {
  if (bytes.length !== 4) return false;
  into.high = 0;
  into.low = bigEndian(bytes, 0) >>> 0;
  return true;
}

export function decodeInt8(bytes: Buffer, into: KeyDatum): boolean {
  if (bytes.length !== 8) return false;
  into.high = bigEndian(bytes, 0);
  into.low = bigEndian(bytes, 4) >>> 0;
  return true;
}

export function bigEndian(bytes: Buffer, i: number): number {
  return (bytes[i]! << 24) | (bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!;
}

function setInt32(into: KeyDatum, value: number): void {
  into.high = value >> 31;
  into.low = value >>> 0;
}

/** `^\s*[+-]?\d+\s*$` within the type's range. PostgreSQL 16 reads more (0x1F, 1_000): that is asked of it. */
export function decodeIntegerText(bits: 16 | 32 | 64): DecodeText {
  return (text, into) => {
    if (!parseInteger(text, into)) return false;
    const { high, low } = into;
    if (bits === 64) return true;
    if (high !== (low | 0) >> 31) return false;
    return bits === 32 || ((low << 16) >> 16) >>> 0 === low;
  };
}

/** Plain digits up to 2^32 - 1. What oidin takes besides is asked: signs, and numbers that a leading zero makes octal or hexadecimal. */
export function decodeOidText(text: Buffer, into: KeyDatum): boolean {
  if (text[0] === zero && text.length > 1) return false;
  return isDigit(text[0] ?? 0) && parseInteger(text, into) && into.high === 0;
}

const zero = 0x30;
const minus = 0x2d;
const plus = 0x2b;

function parseInteger(text: Buffer, into: KeyDatum): boolean {
  let i = 0;
  let end = text.length;
  while (i < end && isSpace(text[i]!)) i++;
  while (end > i && isSpace(text[end - 1]!)) end--;
  const negative = text[i] === minus;
  if (negative || text[i] === plus) i++;
  if (i === end) return false;

  // Six digits at a time: 2^32 * 10^6 is exact in a double.
  let high = 0;
  let low = 0;
  while (i < end) {
    let chunk = 0;
    let scale = 1;
    for (const stop = Math.min(i + 6, end); i < stop; i++) {
      const code = text[i]!;
      if (!isDigit(code)) return false;
      chunk = chunk * 10 + code - 0x30;
      scale *= 10;
    }
    low = low * scale + chunk;
    const carry = Math.floor(low / 0x1_0000_0000);
    low -= carry * 0x1_0000_0000;
    high = high * scale + carry;
    if (high > 0x8000_0000) return false;
  }
  return setMagnitude(into, negative, high, low);
}

/** Two's complement of the magnitude; false outside int8. */
function setMagnitude(into: KeyDatum, negative: boolean, high: number, low: number): boolean {
  if (high === 0x8000_0000 && !(negative && low === 0)) return false;
  into.low = negative ? -low >>> 0 : low;
  into.high = negative ? (low === 0 ? -high : ~high) | 0 : high;
  return true;
}

export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** isspace() in the C locale. */
function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}
