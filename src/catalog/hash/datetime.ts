import type { KeyDatum, KeyType } from './datum.ts';
import type { Hash64 } from './hash64.ts';
import { bigEndian, decodeInt4, decodeInt8, hashInteger, integerType, setInteger, setMicroseconds } from './integer.ts';
import { hashUint32 } from './lookup3.ts';

/*
 * Dates and times in text are read in ISO form only, with all fields, and years 0001 to 9999: so written they mean the same
 * under every DateStyle. What depends on TimeZone or IntervalStyle is asked of PostgreSQL.
 */

const secondsPerDay = 86_400;
/** Days from 0000-03-01 to 2000-01-01, PostgreSQL's epoch, in the proleptic Gregorian calendar. */
const epochDays = 730_425;

const isoDate = /^(\d{4})-(\d\d)-(\d\d)$/;
const isoTime = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?$/;
const isoTimestamp = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?))?$/;
const isoTimestamptz =
  /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d(?:\d\d|:\d\d(?::\d\d)?)?)$/;
const isoTimetz = /^(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)([+-]\d\d(?:\d\d|:\d\d(?::\d\d)?)?)$/;

export const dateType = integerType(decodeDateText, decodeInt4);
export const timeType = integerType(decodeTimeText, decodeInt8);
export const timestampType = integerType(decodeTimestampText, decodeInt8);
export const timestamptzType = integerType(decodeTimestamptzText, decodeInt8);

function decodeDateText(bytes: Buffer, into: KeyDatum): boolean {
  const text = bytes.toString('latin1');
  const days = infinities32.get(text) ?? daysOf(text);
  if (days === null) return false;
  setInteger(into, days);
  return true;
}

const infinities32 = new Map([
  ['infinity', 0x7fff_ffff],
  ['-infinity', -0x8000_0000],
]);

/** Days since 2000-01-01; null for what is no date. */
function daysOf(text: string): number | null {
  const match = isoDate.exec(text);
  if (!match) return null;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return null;
  // Years from March, so that the leap day is the last: 153 days in each five months.
  const shifted = month > 2 ? month - 3 : month + 9;
  const y = month > 2 ? year : year - 1;
  const leapDays = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  return y * 365 + leapDays + Math.floor((153 * shifted + 2) / 5) + day - 1 - epochDays;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

interface TimeOfDay {
  readonly seconds: number;
  readonly micros: number;
}

function timeOf(text: string): TimeOfDay | null {
  const match = isoTime.exec(text);
  if (!match) return null;
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (hours > 23 || minutes > 59 || seconds > 59) return null;
  return { seconds: hours * 3600 + minutes * 60 + seconds, micros: Number((match[4] ?? '').padEnd(6, '0')) };
}

function decodeTimeText(bytes: Buffer, into: KeyDatum): boolean {
  const time = timeOf(bytes.toString('latin1'));
  if (!time) return false;
  setMicroseconds(into, time.seconds, time.micros);
  return true;
}

function decodeTimestampText(bytes: Buffer, into: KeyDatum): boolean {
  const text = bytes.toString('latin1');
  if (setInfinity(text, into)) return true;
  const match = isoTimestamp.exec(text);
  return match !== null && setTimestamp(into, match[1]!, match[2] ?? '00:00', 0);
}

function decodeTimestamptzText(bytes: Buffer, into: KeyDatum): boolean {
  const text = bytes.toString('latin1');
  if (setInfinity(text, into)) return true;
  const match = isoTimestamptz.exec(text);
  const offset = match && offsetOf(match[3]!);
  return match !== null && offset !== null && setTimestamp(into, match[1]!, match[2]!, offset);
}

function setInfinity(text: string, into: KeyDatum): boolean {
  if (text !== 'infinity' && text !== '-infinity') return false;
  into.high = text === 'infinity' ? 0x7fff_ffff : -0x8000_0000;
  into.low = text === 'infinity' ? 0xffff_ffff : 0;
  return true;
}

/** `offsetSeconds` east of Greenwich. */
function setTimestamp(into: KeyDatum, date: string, timeText: string, offsetSeconds: number): boolean {
  const days = daysOf(date);
  const time = timeOf(timeText);
  if (days === null || time === null) return false;
  setMicroseconds(into, days * secondsPerDay + time.seconds - offsetSeconds, time.micros);
  return true;
}

const maxOffsetHours = 15;

/** Seconds east of Greenwich of `Z`, `+02`, `-0530`, `+05:30`, `+05:41:16`. */
function offsetOf(text: string): number | null {
  if (text === 'Z') return 0;
  const [hours, minutes, seconds] = [1, 3, 5].map((i) => Number(text.replaceAll(':', '').slice(i, i + 2)));
  if (hours! > maxOffsetHours || minutes! > 59 || seconds! > 59) return null;
  return (hours! * 3600 + minutes! * 60 + seconds!) * (text.startsWith('-') ? -1 : 1);
}

/** timetz_hash_extended: the hashes of time and zone, joined by XOR. */
export const timetzType: KeyType = {
  decode: (format, bytes, into) => (format === 0 ? decodeTimetzText(bytes, into) : decodeTimetz(bytes, into)),
  hash(datum, out) {
    hashUint32(datum.number, out);
    const { high, low } = out;
    hashInteger(datum, out);
    out.high = (out.high ^ high) >>> 0;
    out.low = (out.low ^ low) >>> 0;
  },
  identity: ({ high, low, number }) => `${high}:${low}:${number}`,
};

function decodeTimetzText(bytes: Buffer, into: KeyDatum): boolean {
  const match = isoTimetz.exec(bytes.toString('latin1'));
  const time = match && timeOf(match[1]!);
  const offset = match && offsetOf(match[2]!);
  if (!time || offset === null) return false;
  setMicroseconds(into, time.seconds, time.micros);
  into.number = -offset;
  return true;
}

function decodeTimetz(bytes: Buffer, into: KeyDatum): boolean {
  if (bytes.length !== 12) return false;
  into.number = bigEndian(bytes, 8);
  return decodeInt8(bytes.subarray(0, 8), into);
}

/** interval_hash_extended: the span, with days of 24 hours and months of 30 days, of which the low 64 bits are hashed. */
export const intervalType: KeyType = {
  decode: (format, bytes, into) => (format === 0 ? decodeIntervalText(bytes, into) : decodeInterval(bytes, into)),
  hash: (datum: KeyDatum, out: Hash64) => hashInteger(datum, out),
  identity: ({ high, low, number }) => `${number}:${high}:${low}`,
};

function decodeInterval(bytes: Buffer, into: KeyDatum): boolean {
  if (bytes.length !== 16) return false;
  setSpan(into, bytes.readBigInt64BE(0), bigEndian(bytes, 8), bigEndian(bytes, 12));
  return true;
}

function setSpan(into: KeyDatum, micros: bigint, days: number, months: number): void {
  const span = micros + (BigInt(days) + 30n * BigInt(months)) * 86_400_000_000n;
  into.high = Number(BigInt.asIntN(32, span >> 32n));
  into.low = Number(BigInt.asUintN(32, span));
  into.number = Number(span >> 64n);
}

/** PostgreSQL's own output without minus signs, whose reach depends on IntervalStyle. */
const plainInterval =
  /^(?:(\d{1,4}) years? ?)?(?:(\d{1,4}) mons? ?)?(?:(\d{1,6}) days? ?)?(?:(\d{2,6}):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/;

function decodeIntervalText(bytes: Buffer, into: KeyDatum): boolean {
  const match = bytes.length > 0 ? plainInterval.exec(bytes.toString('latin1')) : null;
  if (!match) return false;
  const [years, months, days, hours, minutes, seconds] = match.slice(1, 7).map((field) => Number(field ?? 0));
  if (minutes! > 59 || seconds! > 59) return false;
  const micros = (hours! * 3600 + minutes! * 60 + seconds!) * 1e6 + Number((match[7] ?? '').padEnd(6, '0'));
  setSpan(into, BigInt(micros), days!, years! * 12 + months!);
  return true;
}
