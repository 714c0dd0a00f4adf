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
  // Out of range is an error there; near zero it depends on the C library.
  if (!Number.isFinite(value) || (value === 0 ? /[1-9]/.test(text.split(/e/i)[0]!) : Math.abs(value) < smallest[bits]))
    return false;
  if (bits === 32 && !roundsOnce(value)) return false;
  into.number = bits === 32 ? Math.fround(value) : value;
  return Number.isFinite(into.number);
}

const specials = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

/** The smallest numbers of full precision. */
const smallest = { 32: 2 ** -126, 64: 2 ** -1022 } as const;

/**
 * PostgreSQL rounds the decimal to float4 at once, we by way of float8. They can differ only where the float8 lies halfway
 * between two float4s (the 29 bits that go are 1 and 28 zeros).
 */
function roundsOnce(value: number): boolean {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  return (bits.getUint32(4) & 0x1fff_ffff) !== 0x1000_0000;
}
