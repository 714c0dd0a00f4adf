import { setBytes } from './bytes.ts';
import type { KeyDatum, KeyType } from './datum.ts';
import { type Hash64, partitionSeed } from './hash64.ts';
import { hashBytes } from './lookup3.ts';

/** `low` of a numeric's datum, in ascending order of value. */
const kinds = { minusInfinity: 0, negative: 1, zero: 2, positive: 3, infinity: 4, nan: 5 } as const;

/** hash_numeric_extended: the digits without zeros at either end, and the weight of the first; the sign has no part in it. */
export const numericType: KeyType = {
  decode: (format, bytes, into) => (format === 0 ? decodeText(bytes, into) : decodeBinary(bytes, into)),
  hash: hashNumeric,
  identity: ({ low, number, bytes, start, end }) => `${low} ${number} ${bytes.toString('latin1', start, end)}`,
  compare: compareNumerics,
};

function hashNumeric(datum: KeyDatum, out: Hash64): void {
  if (datum.low === kinds.zero) {
    // seed - 1; its low half is not 0.
    out.high = partitionSeed.high;
    out.low = partitionSeed.low - 1;
  } else if (datum.low !== kinds.positive && datum.low !== kinds.negative) {
    out.high = partitionSeed.high;
    out.low = partitionSeed.low;
  } else {
    hashBytes(datum.bytes, datum.start, datum.end, out);
    out.low = (out.low ^ datum.number) >>> 0;
    out.high = (out.high ^ (datum.number < 0 ? -1 : 0)) >>> 0;
  }
}

function compareNumerics(a: KeyDatum, b: KeyDatum): number {
  if (a.low !== b.low) return a.low - b.low;
  if (a.low === kinds.positive) return compareMagnitudes(a, b);
  return a.low === kinds.negative ? compareMagnitudes(b, a) : 0;
}

function compareMagnitudes(a: KeyDatum, b: KeyDatum): number {
  if (a.number !== b.number) return a.number - b.number;
  const count = Math.min(a.end - a.start, b.end - b.start);
  for (let i = 0; i < count; i += 2) {
    const difference = a.bytes.readInt16LE(a.start + i) - b.bytes.readInt16LE(b.start + i);
    if (difference !== 0) return difference;
  }
  return a.end - a.start - (b.end - b.start);
}

const decimal = /^[ \t\n\v\f\r]*([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,4}))?[ \t\n\v\f\r]*$/i;

/** Beyond that PostgreSQL may refuse the value; it is asked. */
const maxDigits = 1000;

function decodeText(bytes: Buffer, into: KeyDatum): boolean {
  const text = bytes.toString('latin1');
  const special = specials.get(text);
  if (special !== undefined) return setKind(into, special);
  const match = decimal.exec(text);
  if (!match) return false;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  if (digits === '' || digits.length > maxDigits || Math.abs(point) > maxDigits) return false;
  return setDigits(into, sign === '-', digits, point);
}

const specials = new Map<string, number>([
  ['NaN', kinds.nan],
  ['Infinity', kinds.infinity],
  ['-Infinity', kinds.minusInfinity],
]);

function setKind(into: KeyDatum, kind: number): true {
  into.low = kind;
  into.number = 0;
  into.start = 0;
  into.end = 0;
  return true;
}

/** 0.`digits` * 10^`point`. Groups of four decimal digits are counted from the decimal point. */
function setDigits(into: KeyDatum, negative: boolean, digits: string, point: number): true {
  const first = digits.search(/[1-9]/);
  if (first < 0) return setKind(into, kinds.zero);
  // 123.4 has its point at 3 and is the groups 0123 4000, the first of weight 0.
  const place = point - first;
  const weight = Math.ceil(place / 4) - 1;
  const lead = (weight + 1) * 4 - place;
  const padded = '0'.repeat(lead) + digits.slice(first);
  const groups = Buffer.alloc(Math.ceil(padded.length / 4) * 2);
  for (let i = 0; i * 4 < padded.length; i++)
    groups.writeInt16LE(Number(padded.slice(i * 4, i * 4 + 4).padEnd(4, '0')), i * 2);
  return setGroups(into, negative, groups, weight);
}

function setGroups(into: KeyDatum, negative: boolean, groups: Buffer, weight: number): true {
  setBytes(into, groups);
  into.number = weight;
  for (; into.start < into.end && groups.readInt16LE(into.start) === 0; into.start += 2) into.number--;
  while (into.end > into.start && groups.readInt16LE(into.end - 2) === 0) into.end -= 2;
  if (into.start === into.end) return setKind(into, kinds.zero);
  into.low = negative ? kinds.negative : kinds.positive;
  return true;
}

/** int16 ndigits, weight, sign, dscale, digits: the signs of numeric.c. */
const signs = { positive: 0x0000, negative: 0x4000, nan: 0xc000, infinity: 0xd000, minusInfinity: 0xf000 } as const;

function decodeBinary(bytes: Buffer, into: KeyDatum): boolean {
  if (bytes.length < 8) return false;
  const count = bytes.readInt16BE(0);
  const weight = bytes.readInt16BE(2);
  const sign = bytes.readUInt16BE(4);
  const scale = bytes.readUInt16BE(6);
  if (count < 0 || bytes.length !== 8 + 2 * count) return false;
  if (sign === signs.nan) return setKind(into, kinds.nan);
  if (sign === signs.infinity) return setKind(into, kinds.infinity);
  if (sign === signs.minusInfinity) return setKind(into, kinds.minusInfinity);
  if (sign !== signs.positive && sign !== signs.negative) return false;
  // numeric_recv cuts off digits beyond the display scale: not worth imitating, no client sends them.
  if ((count - 1 - weight) * 4 > scale + 3) return false;
  const groups = Buffer.from(bytes.subarray(8)).swap16();
  for (let i = 0; i < groups.length; i += 2) if (groups.readUInt16LE(i) > 9999) return false;
  return setGroups(into, sign === signs.negative, groups, weight) && !hidesDigits(into, scale);
}

/** Whether the last group has decimal digits beyond the scale. */
function hidesDigits(datum: KeyDatum, scale: number): boolean {
  if (datum.end === 0) return false;
  const lastGroup = datum.number - (datum.end - datum.start) / 2 + 1;
  const decimals = -lastGroup * 4;
  const beyond = decimals - scale;
  return beyond > 0 && datum.bytes.readInt16LE(datum.end - 2) % 10 ** Math.min(beyond, 4) !== 0;
}
