import type { KeyDatum, KeyType } from './datum.ts';
import { hashBytes } from './lookup3.ts';

type Decode = KeyType['decode'];

/** Types that PostgreSQL hashes, and compares for equality, as a string of bytes. */
export function bytesType(decode: Decode, ordered: 'bytewise' | 'otherwise'): KeyType {
  return {
    decode,
    hash: (datum, out) => hashBytes(datum.bytes, datum.start, datum.end, out),
    identity: ({ bytes, start, end }) => bytes.toString('latin1', start, end),
    ...(ordered === 'bytewise' ? { compare: compareBytes } : {}),
  };
}

export function compareBytes(a: KeyDatum, b: KeyDatum): number {
  return a.bytes.compare(b.bytes, b.start, b.end, a.start, a.end);
}

export function setBytes(into: KeyDatum, bytes: Buffer): true {
  into.bytes = bytes;
  into.start = 0;
  into.end = bytes.length;
  return true;
}

/** Every text is a value of text; varchar(n) is cut before it is routed, since values come in the column's own type. */
export const decodeTextBytes: Decode = (_format, bytes, into) => setBytes(into, bytes);

/** bpchartruelen: blanks at the end do not count. */
export const decodeBpchar: Decode = (_format, bytes, into) => {
  setBytes(into, bytes);
  while (into.end > 0 && bytes[into.end - 1] === 0x20) into.end--;
  return true;
};

const maxNameBytes = 63;

/** namein cuts longer ones at a character's border. */
export const decodeName: Decode = (_format, bytes, into) => bytes.length <= maxNameBytes && setBytes(into, bytes);

const byteaHex = /^\\x(?:[0-9a-f]{2})*$/i;

/** `\x0aff`, or text without a backslash, which stands for itself in the older escape form. */
export const decodeBytea: Decode = (format, bytes, into) => {
  if (format === 1 || !bytes.includes(0x5c)) return setBytes(into, bytes);
  const text = bytes.toString('latin1');
  return byteaHex.test(text) && setBytes(into, Buffer.from(text.slice(2), 'hex'));
};

/** `550e8400-e29b-41d4-a716-446655440000` or 32 digits; PostgreSQL reads more forms. */
export const decodeUuid: Decode = (format, bytes, into) => {
  if (format === 1) return bytes.length === 16 && setBytes(into, bytes);
  const dashed = bytes.length === 36;
  if (!dashed && bytes.length !== 32) return false;
  into.scratch ??= Buffer.alloc(16);
  const uuid = into.scratch;
  let from = 0;
  for (let i = 0; i < 16; i++) {
    if (dashed && (i === 4 || i === 6 || i === 8 || i === 10) && bytes[from++] !== 0x2d) return false;
    const high = hexDigit(bytes[from++]!);
    const low = hexDigit(bytes[from++]!);
    if (high < 0 || low < 0) return false;
    uuid[i] = (high << 4) | low;
  }
  return setBytes(into, uuid);
};

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** `08:00:2b:01:02:03`, six or eight bytes; other spellings are asked. */
export function decodeMacaddr(length: 6 | 8): Decode {
  const form = new RegExp(`^[0-9a-f]{2}(?::[0-9a-f]{2}){${length - 1}}$`, 'i');
  return (format, bytes, into) => {
    if (format === 1) return bytes.length === length && setBytes(into, bytes);
    const text = bytes.toString('latin1');
    return form.test(text) && setBytes(into, Buffer.from(text.replaceAll(':', ''), 'hex'));
  };
}

const ipv4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/;

/**
 * hashinet takes family, prefix length and address. PGSQL_AF_INET is 2, PGSQL_AF_INET6 is 3, on the wire as in memory.
 * Text: IPv4 in full only.
 */
export const decodeInet: Decode = (format, bytes, into) => {
  if (format === 1) return decodeInetBinary(bytes, into);
  const match = ipv4.exec(bytes.toString('latin1'));
  if (!match) return false;
  const prefix = match[5] === undefined ? 32 : Number(match[5]);
  const octets = match.slice(1, 5);
  const plain = octets.every((octet) => Number(octet) < 256 && (octet === '0' || !octet.startsWith('0')));
  return plain && prefix <= 32 && setBytes(into, Buffer.from([2, prefix, ...octets.map(Number)]));
};

/** family, bits, is_cidr, address bytes, address */
function decodeInetBinary(bytes: Buffer, into: KeyDatum): boolean {
  const length = bytes[0] === 2 ? 4 : 16;
  if (bytes.length !== 4 + length || (bytes[0] !== 2 && bytes[0] !== 3) || bytes[3] !== length) return false;
  return setBytes(into, Buffer.concat([bytes.subarray(0, 2), bytes.subarray(4)]));
}
