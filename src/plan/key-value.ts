import type { A_Const, Node, TypeName } from '@pgsql/types';
import { nameParts } from '../sql/walk.ts';
import { type PlanContext, parameterOf } from './context.ts';

/** A value of the distribution column's type, as the client wrote it; null is NULL. */
export type KeyValue = { readonly format: 0 | 1; readonly bytes: Buffer } | null;

/** A value that a statement compares a column with, once its type allows what PostgreSQL's own `=` of the column's type does. */
export interface ComparedValue {
  readonly value: KeyValue;
  /** A client's parameter: the plan holds for this value only. */
  readonly fromParameter: boolean;
}

/**
 * The constant or parameter as a value of type `typeOid`, or null: not a constant, of another type (PostgreSQL would choose
 * another operator), or spelled in a way that only the server can read (`'today'`).
 */
export function comparedValue(node: Node, typeOid: number, context: PlanContext): ComparedValue | null {
  if ('ParamRef' in node) return parameterValue(node.ParamRef.number ?? 0, typeOid, context);
  if ('TypeCast' in node && node.TypeCast.arg && 'ParamRef' in node.TypeCast.arg) {
    // `$1::int`, as drivers write it, says no more than what the parameter is anyway.
    const castTo = builtinTypeOid(node.TypeCast.typeName);
    const number = node.TypeCast.arg.ParamRef.number ?? 0;
    return castTo === parameterOf(number, context)?.typeOid ? parameterValue(number, typeOid, context) : null;
  }
  const text = constantText(node, typeOid);
  return text === null ? null : { value: { format: 0, bytes: Buffer.from(text) }, fromParameter: false };
}

const int2 = 21;
const int4 = 23;
const int8 = 20;
const text = 25;
const varchar = 1043;
const bpchar = 1042;
const numeric = 1700;
const float8 = 701;

/** Bytes of the binary form, and so the width of the type. */
const integerBytes: ReadonlyMap<number, number> = new Map([
  [int2, 2],
  [int4, 4],
  [int8, 8],
]);
const stringTypes = new Set([text, varchar]);

/** Whether two columns of these types are compared by one hash operator family's `=`. */
export function sameFamily(a: number, b: number): boolean {
  return a === b || (integerBytes.has(a) && integerBytes.has(b)) || (stringTypes.has(a) && stringTypes.has(b));
}

function parameterValue(number: number, typeOid: number, context: PlanContext): ComparedValue | null {
  const parameter = parameterOf(number, context);
  if (!parameter?.value || !sameFamily(parameter.typeOid, typeOid)) return null;
  const value = boundKey(parameter.value, typeOid);
  return value === null ? null : { value, fromParameter: true };
}

/** The value of a parameter, whose type is of the family of `typeOid`, as one of that type; null: only the server can tell. */
export function boundKey({ format, bytes }: NonNullable<KeyValue>, typeOid: number): KeyValue {
  if (integerBytes.has(typeOid)) {
    const written = format === 0 ? bytes.toString() : binaryInteger(bytes);
    const integer = written === null ? null : integerText(written, typeOid);
    return integer === null ? null : { format: 0, bytes: Buffer.from(integer) };
  }
  return format === 1 || isPlainText(bytes.toString(), typeOid) ? { format, bytes } : null;
}

/** The same for a constant: an integer's digits with their sign, or what stands between quotes. */
export function writtenKey(text: string, isString: boolean, typeOid: number): KeyValue {
  const constant: A_Const = isString ? { sval: { sval: text } } : { fval: { fval: text } };
  const found = literalText(constant, typeOid);
  return found === null ? null : { format: 0, bytes: Buffer.from(found) };
}

function binaryInteger(bytes: Buffer): string | null {
  if (bytes.length === 2) return String(bytes.readInt16BE());
  if (bytes.length === 4) return String(bytes.readInt32BE());
  return bytes.length === 8 ? String(bytes.readBigInt64BE()) : null;
}

function constantText(node: Node, typeOid: number): string | null {
  if ('TypeCast' in node) {
    const { arg, typeName } = node.TypeCast;
    const castTo = builtinTypeOid(typeName);
    if (!arg || !('A_Const' in arg) || castTo === null || !sameFamily(castTo, typeOid)) return null;
    const inner = literalText(arg.A_Const, castTo);
    return inner !== null && integerBytes.has(typeOid) ? integerText(inner, typeOid) : inner;
  }
  return 'A_Const' in node ? literalText(node.A_Const, typeOid) : null;
}

function literalText(constant: A_Const, typeOid: number): string | null {
  const { ival, fval, sval } = constant;
  if (sval)
    return integerBytes.has(typeOid) ? integerText(sval.sval ?? '', typeOid) : plainText(sval.sval ?? '', typeOid);
  const number = ival ? String(ival.ival ?? 0) : (fval?.fval ?? null);
  if (number === null) return null;
  if (integerBytes.has(typeOid)) return integerText(number, typeOid);
  // numeric = 5 and float8 = 5 convert the constant; real = 5.0 compares as double precision, so it is left out.
  return typeOid === numeric || typeOid === float8 ? plainText(number, typeOid) : null;
}

/** Beyond the type's range nothing is equal; that is left to PostgreSQL. */
function integerText(written: string, typeOid: number): string | null {
  if (!/^\s*[+-]?\d{1,20}\s*$/.test(written)) return null;
  const value = BigInt(written.trim().replace(/^\+/, ''));
  const bits = BigInt(8 * (integerBytes.get(typeOid) ?? 8));
  return BigInt.asIntN(Number(bits), value) === value ? String(value) : null;
}

/** Texts that mean the same under any setting of the session. Types that aren't here are not read by the router. */
const plainForms: ReadonlyMap<number, RegExp> = new Map([
  [text, /^[\s\S]*$/],
  [varchar, /^[\s\S]*$/],
  [bpchar, /^[\s\S]*$/],
  [numeric, /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/],
  [float8, /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/],
  [16, /^(?:t|f|true|false)$/],
  [17, /^\\x(?:[\da-fA-F]{2})*$/],
  [2950, /^[\da-fA-F]{8}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{12}$/],
  [1082, /^\d{4}-\d\d-\d\d$/],
  [1114, /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?$/],
  [1184, /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d)?)$/],
]);

function isPlainText(written: string, typeOid: number): boolean {
  return plainForms.get(typeOid)?.test(written) ?? false;
}

function plainText(written: string, typeOid: number): string | null {
  return isPlainText(written, typeOid) ? written : null;
}

const builtinTypes: Readonly<Record<string, number>> = {
  bool: 16,
  bytea: 17,
  int8,
  int2,
  int4,
  text,
  bpchar,
  varchar,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  numeric,
  float8,
  uuid: 2950,
};

/** The OID of a type of pg_catalog that is named plainly: no modifier, no array. */
function builtinTypeOid(typeName: TypeName | undefined): number | null {
  if (!typeName || typeName.typmods || typeName.arrayBounds || typeName.setof || typeName.pct_type) return null;
  const names = nameParts(typeName.names);
  if (names.length > 2 || (names.length === 2 && names[0] !== 'pg_catalog')) return null;
  return builtinTypes[names.at(-1) ?? ''] ?? null;
}
