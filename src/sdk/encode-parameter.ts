import { pgError } from '../core/errors.ts';

/** A value of JavaScript as PostgreSQL reads it. Its type is what the statement makes of the parameter. */
export type Parameter =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Date
  | Uint8Array
  | readonly Parameter[]
  | { readonly [key: string]: unknown };

/** Text form; null is NULL, and so is undefined. Arrays become arrays, objects JSON. */
export function encodeParameter(value: Parameter): string | null {
  switch (typeof value) {
    case 'undefined':
      return null;
    case 'string':
      return value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      return value === null ? null : encodeObject(value);
    default:
      throw pgError('invalidParameterValue', `a ${typeof value} can't be a parameter`);
  }
}

function encodeObject(value: Extract<Parameter, object>): string {
  if (value instanceof Date) return encodeDate(value);
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return `{${value.map(encodeElement).join(',')}}`;
  return JSON.stringify(value);
}

function encodeDate(value: Date): string {
  if (Number.isNaN(value.getTime())) throw pgError('invalidParameterValue', 'an invalid Date is no parameter');
  return value.toISOString();
}

function encodeElement(value: Parameter): string {
  const text = encodeParameter(value);
  if (text === null) return 'NULL';
  return Array.isArray(value) ? text : `"${text.replace(/[\\"]/g, '\\$&')}"`;
}
