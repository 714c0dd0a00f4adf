import { typeOids } from '../catalog/hash/key-types.ts';

/** A row as an object by column name. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * Values of JavaScript: booleans; int2, int4, oid and floats as numbers; timestamptz as Date (which drops microseconds); json as what it
 * says; bytea as Buffer; arrays as arrays. int8 and numeric stay text, since a number would not be exact; so does everything else, and
 * what a Date can't hold.
 */
export function decodeRow(
  { columns, typeOids: oids }: { readonly columns: readonly string[]; readonly typeOids: readonly number[] },
  row: readonly (string | null)[],
): Row {
  return Object.fromEntries(columns.map((name, i) => [name, decodeValue(oids[i]!, row[i] ?? null)]));
}

export function decodeValue(typeOid: number, text: string | null): unknown {
  if (text === null) return null;
  const element = elementTypes.get(typeOid);
  if (element !== undefined) return decodeArray(element, text);
  switch (typeOid) {
    case typeOids.bool:
      return text === 't';
    case typeOids.int2:
    case typeOids.int4:
    case typeOids.oid:
    case typeOids.float4:
    case typeOids.float8:
      return Number(text);
    case typeOids.timestamptz:
      return decodeTimestamptz(text);
    case typeOids.bytea:
      return text.startsWith('\\x') ? Buffer.from(text.slice(2), 'hex') : text;
    case jsonOid:
    case jsonbOid:
      return JSON.parse(text);
    default:
      return text;
  }
}

const jsonOid = 114;
const jsonbOid = 3802;

/** Of array types (pg_type.dat): the type of their elements. */
const elementTypes: ReadonlyMap<number, number> = new Map([
  [1000, typeOids.bool],
  [1001, typeOids.bytea],
  [1005, typeOids.int2],
  [1007, typeOids.int4],
  [1009, typeOids.text],
  [1015, typeOids.varchar],
  [1016, typeOids.int8],
  [1021, typeOids.float4],
  [1022, typeOids.float8],
  [1028, typeOids.oid],
  [1182, typeOids.date],
  [1185, typeOids.timestamptz],
  [1231, typeOids.numeric],
  [2951, typeOids.uuid],
  [199, jsonOid],
  [3807, jsonbOid],
]);

/** `2024-05-01 10:00:00.123456+02`, with DateStyle ISO. */
function decodeTimestamptz(text: string): Date | string {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,6})?([+-]\d\d)(:\d\d)?$/.exec(text);
  if (match === null) return text;
  const [, date, time, fraction = '', hours, minutes = ':00'] = match;
  return new Date(`${date}T${time}${fraction.slice(0, 4)}${hours}${minutes}`);
}

type Nested = string | null | Nested[];

function decodeArray(element: number, text: string): unknown {
  const start = text.indexOf('{');
  const { value } = readArray(text, start);
  const decode = (each: Nested): unknown => (Array.isArray(each) ? each.map(decode) : decodeValue(element, each));
  return decode(value);
}

/** From its brace on; gives the position behind it. */
function readArray(text: string, at: number): { value: Nested[]; end: number } {
  const value: Nested[] = [];
  let i = at + 1;
  while (text[i] !== '}') {
    if (text[i] === ',') i += 1;
    const item = text[i] === '{' ? readArray(text, i) : text[i] === '"' ? readQuoted(text, i) : readBare(text, i);
    value.push(item.value);
    i = item.end;
  }
  return { value, end: i + 1 };
}

function readQuoted(text: string, at: number): { value: string; end: number } {
  let value = '';
  let i = at + 1;
  for (; text[i] !== '"'; i++) {
    if (text[i] === '\\') i += 1;
    value += text[i];
  }
  return { value, end: i + 1 };
}

function readBare(text: string, at: number): { value: string | null; end: number } {
  let end = at;
  while (text[end] !== ',' && text[end] !== '}') end += 1;
  const value = text.slice(at, end);
  return { value: value === 'NULL' ? null : value, end };
}
