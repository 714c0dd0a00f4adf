import {
  bytesType,
  decodeBpchar,
  decodeBytea,
  decodeInet,
  decodeMacaddr,
  decodeName,
  decodeTextBytes,
  decodeUuid,
  setBytes,
} from './bytes.ts';
import { dateType, intervalType, timestampType, timestamptzType, timeType, timetzType } from './datetime.ts';
import type { KeyDatum, KeyType } from './datum.ts';
import { floatType } from './float.ts';
import {
  decodeInt2,
  decodeInt4,
  decodeInt8,
  decodeIntegerText,
  decodeOidText,
  decodeUint4,
  integerType,
  setInteger,
} from './integer.ts';
import { numericType } from './numeric.ts';

/** OIDs of built-in types (pg_type.dat): the same on every server. */
export const typeOids = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  cidr: 650,
  float4: 700,
  float8: 701,
  macaddr8: 774,
  macaddr: 829,
  inet: 869,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  numeric: 1700,
  uuid: 2950,
} as const;

/** The types whose hash TypeScript knows; a key of any other type is asked of PostgreSQL. */
export function keyTypeOf(typeOid: number): KeyType | undefined {
  return keyTypes.get(typeOid);
}

const textType = bytesType(decodeTextBytes, 'bytewise');
const inetType = bytesType(decodeInet, 'otherwise');

const keyTypes: ReadonlyMap<number, KeyType> = new Map<number, KeyType>([
  [typeOids.int2, integerType(decodeIntegerText(16), decodeInt2)],
  [typeOids.int4, integerType(decodeIntegerText(32), decodeInt4)],
  [typeOids.int8, integerType(decodeIntegerText(64), decodeInt8)],
  [typeOids.oid, integerType(decodeOidText, decodeUint4)],
  [typeOids.bool, integerType(decodeBoolText, decodeByte)],
  [typeOids.char, integerType(decodeCharText, decodeByte)],
  [typeOids.float4, floatType(32)],
  [typeOids.float8, floatType(64)],
  [typeOids.numeric, numericType],
  [typeOids.text, textType],
  [typeOids.varchar, textType],
  [typeOids.bpchar, bytesType(decodeBpchar, 'bytewise')],
  [typeOids.name, bytesType(decodeName, 'bytewise')],
  [typeOids.bytea, bytesType(decodeBytea, 'bytewise')],
  [typeOids.uuid, bytesType(decodeUuid, 'bytewise')],
  [typeOids.macaddr, bytesType(decodeMacaddr(6), 'bytewise')],
  [typeOids.macaddr8, bytesType(decodeMacaddr(8), 'bytewise')],
  [typeOids.inet, inetType],
  [typeOids.cidr, inetType],
  [typeOids.date, dateType],
  [typeOids.time, timeType],
  [typeOids.timetz, timetzType],
  [typeOids.timestamp, timestampType],
  [typeOids.timestamptz, timestamptzType],
  [typeOids.interval, intervalType],
]);

function decodeBoolText(text: Buffer, into: KeyDatum): boolean {
  const value = booleans.get(text.toString('latin1'));
  if (value === undefined) return false;
  setInteger(into, value);
  return true;
}

const booleans = new Map([
  ...['t', 'true', 'yes', 'on', '1', 'TRUE'].map((text) => [text, 1] as const),
  ...['f', 'false', 'no', 'off', '0', 'FALSE'].map((text) => [text, 0] as const),
]);

/** Below 128 only: whether a char of C has a sign depends on the machine. */
function decodeByte(bytes: Buffer, into: KeyDatum): boolean {
  const [byte = 128] = bytes;
  if (bytes.length !== 1 || byte > 127) return false;
  setInteger(into, byte);
  return true;
}

function decodeCharText(text: Buffer, into: KeyDatum): boolean {
  return text.length === 0 ? setBytes(into, text) && decodeByte(Buffer.alloc(1), into) : decodeByte(text, into);
}
