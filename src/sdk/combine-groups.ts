import type { TextRow } from '../backend/portal-rows.ts';
import { keyTypeOf, typeOids } from '../catalog/hash/key-types.ts';
import { unreachable } from '../core/assert.ts';
import { addDecimals, type Decimal, decimalText, parseDecimal } from '../core/decimal.ts';
import { pgError } from '../core/errors.ts';
import { columnAt, orderedType, type ResultShape, readKey } from './ordered-merge.ts';

/** How the parts of one column come together: counts and sums by `sum`; `and`, `or` are bool_and, bool_or. */
export type Combination = 'sum' | 'min' | 'max' | 'and' | 'or';

export interface GroupPlan {
  /** Columns that say which rows are one; none: all rows are. */
  readonly groupBy: readonly string[];
  /** Every other column of the result. */
  readonly aggregates: Readonly<Record<string, Combination>>;
}

type Add = (a: string | null, b: string | null) => string | null;

/**
 * Groups that several shards have parts of become one row each, in the order in which they first appear. Sums of whole numbers and
 * numerics are exact. A NULL is a part without rows and adds nothing.
 */
export class GroupCombiner {
  #keys: readonly { readonly at: number; identity(text: string | null): string }[];
  #adds: readonly { readonly at: number; readonly add: Add }[];
  #groups = new Map<string, (string | null)[]>();

  constructor(shape: ResultShape, { groupBy, aggregates }: GroupPlan) {
    this.#keys = groupBy.map((name) => {
      const at = columnAt(shape, name);
      return { at, identity: identityOf(shape.typeOids[at]!, name) };
    });
    this.#adds = Object.entries(aggregates).map(([name, how]) => {
      const at = columnAt(shape, name);
      return { at, add: skipNulls(combination(how, shape.typeOids[at]!, name)) };
    });
    const named = new Set([...groupBy, ...Object.keys(aggregates)]);
    const left = shape.columns.find((name) => !named.has(name));
    if (left !== undefined)
      throw pgError('invalidColumnReference', `column "${left}" is neither grouped by nor combined`);
  }

  add(row: TextRow): void {
    const key = this.#keys.map(({ at, identity }) => identity(row[at] ?? null)).join('\0');
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, [...row]);
    else for (const { at, add } of this.#adds) group[at] = add(group[at] ?? null, row[at] ?? null);
  }

  rows(): TextRow[] {
    return [...this.#groups.values()];
  }
}

/** Equal values, and only these, have the same: 1.0 and 1.00 do. */
function identityOf(typeOid: number, column: string): (text: string | null) => string {
  const type = keyTypeOf(typeOid);
  if (type === undefined) {
    throw pgError('featureNotSupported', `the equality of column "${column}" is not known here (type ${typeOid})`, {
      hint: 'Cast it to text in the statement.',
    });
  }
  return (text) => {
    const datum = readKey(type, text, column);
    return datum === null ? 'null' : JSON.stringify(type.identity(datum));
  };
}

type Combine = (a: string, b: string) => string;

const skipNulls =
  (combine: Combine): Add =>
  (a, b) =>
    a === null ? b : b === null ? a : combine(a, b);

function combination(how: Combination, typeOid: number, column: string): Combine {
  switch (how) {
    case 'sum':
      return sumOf(typeOid, column);
    case 'min':
    case 'max':
      return extreme(typeOid, column, how === 'min' ? 1 : -1);
    case 'and':
      return (a, b) => (a === 't' && b === 't' ? 't' : 'f');
    case 'or':
      return (a, b) => (a === 't' || b === 't' ? 't' : 'f');
    default:
      return unreachable(how);
  }
}

const exactTypes: ReadonlySet<number> = new Set([typeOids.int2, typeOids.int4, typeOids.int8, typeOids.numeric]);
const floatTypes: ReadonlySet<number> = new Set([typeOids.float4, typeOids.float8]);

function sumOf(typeOid: number, column: string): Combine {
  if (exactTypes.has(typeOid)) return addTexts;
  if (floatTypes.has(typeOid)) return (a, b) => String(Number(a) + Number(b));
  throw pgError('datatypeMismatch', `column "${column}" (type ${typeOid}) can't be summed`);
}

function addTexts(a: string, b: string): string {
  const sum: Decimal = addDecimals(parseDecimal(a), parseDecimal(b));
  return decimalText(sum);
}

function extreme(typeOid: number, column: string, sign: 1 | -1): Combine {
  const { type, compare } = orderedType(typeOid, column);
  return (a, b) => (sign * compare(readKey(type, a, column)!, readKey(type, b, column)!) <= 0 ? a : b);
}
