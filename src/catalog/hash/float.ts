import type { KeyDatum, KeyType } from './datum.ts';
import { type Hash64, partitionSeed } from './hash64.ts';
import { hashBytes } from './lookup3.ts';

/** float4 is widened before it is hashed, so equal values of both hash equal. */
export function floatType(bits: 32 | 64): KeyType {
  const scratch = Buffer.alloc(8);
  return {
    decode: (format, bytes, into) => (format === 0 ? decodeText(bits, bytes, into) : decodeBinary(bits, bytes, into)),
    hash: (datum, out) => hashFloat(datum.number, scratch, out),
    // A Map has one NaN, and 0 for -0.
    identity: (datum) => (datum.number === 0 ? 0 : datum.number),
    compare: compareFloats,
  };
}

/** hashfloat8extended: zero of either sign gives the seed; every NaN is the same. */
function hashFloat(value: number, scratch: Buffer, out: Hash64): void {
  if (value === 0) {
    out.high = partitionSeed.high;
    out.low = partitionSeed.low;
    return;
  }
  scratch.writeDoubleLE(value);
  if (Number.isNaN(value)) quietNan.copy(scratch);
  hashBytes(scratch, 0, 8, out);
}

const quietNan = Buffer.from('000000000000f87f', 'hex');

/** NaN sorts above everything, and equals itself. */
function compareFloats({ number: a }: KeyDatum, { number: b }: KeyDatum): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1;
  if (Number.isNaN(b)) return -1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function decodeBinary(bits: 32 | 64, bytes: Buffer, into: KeyDatum): boolean {
  if (bytes.length !== bits / 8) return false;
  into.number = bits === 32 ? bytes.readFloatBE() : bytes.readDoubleBE();
  return true;
}

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

function decodeText(bits: 32 | 64, bytes: Buffer, into: KeyDatum): boolean {
  const text = bytes.toString('latin1');
  const special = specials.get(text);
  if (special !== undefined) {
    into.number = special;
    return true;
  }
  if (!decimal.test(text)) return false;
  const value = Number(text);
  if (bits === 32 && !roundsOnce(value)) return false;
  into.number = bits === 32 ? Math.fround(value) : value;
  // Too large and too small are errors there.
  return Number.isFinite(into.number) && (into.number !== 0 || !/[1-9]/.test(text.replace(/e.*/i, '')));
}

const specials = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

/**
 * PostgreSQL rounds the decimal to float4 at once, we by way of float8. They can differ only where that float8 lies halfway
 * between two float4s: their middle is exact in float8.
 */
function roundsOnce(value: number): boolean {
  const nearest = Math.fround(value);
  if (nearest === value || !Number.isFinite(nearest)) return true;
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, nearest);
  const away = Math.abs(value) > Math.abs(nearest) ? 1 : -1;
  // The bits of a float count its neighbours of the same sign, from 0 outwards.
  if (nearest === 0) view.setInt32(0, 1);
  else view.setInt32(0, view.getInt32(0) + away);
  return Math.abs(value) !== (Math.abs(nearest) + Math.abs(view.getFloat32(0))) / 2;
}
