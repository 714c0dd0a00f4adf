import type { TextRow } from '../backend/portal-rows.ts';
import { emptyDatum, type KeyDatum, type KeyType } from '../catalog/hash/datum.ts';
import { keyTypeOf } from '../catalog/hash/key-types.ts';
import { pgError } from '../core/errors.ts';

/** As in ORDER BY; NULLs come last when ascending and first when descending, unless said. */
export interface SortKey {
  readonly column: string;
  readonly direction?: 'asc' | 'desc';
  readonly nulls?: 'first' | 'last';
}

export interface ResultShape {
  readonly columns: readonly string[];
  readonly typeOids: readonly number[];
}

/** Rows of one shard in order, asked for one by one. */
export interface RowSource {
  readonly shard: number;
  next(): Promise<TextRow | undefined>;
}

type Keys = readonly (KeyDatum | null)[];

/**
 * Merges what shards give in order. The order is that of the columns' types; text is ordered by its bytes, so the statement says
 * `ORDER BY name COLLATE "C"`. A shard whose rows come in another order is an error, never a wrong result.
 */
export async function* mergeOrdered(
  shape: ResultShape,
  by: readonly SortKey[],
  sources: readonly RowSource[],
): AsyncGenerator<TextRow> {
  const order = compileOrder(shape, by);
  const advance = async (source: RowSource, before?: Keys) => {
    const row = await source.next();
    if (row === undefined) return undefined;
    const keys = order.keysOf(row);
    if (before && order.compare(before, keys) > 0) throw outOfOrder(source.shard, by);
    return { source, row, keys };
  };
  const first = await Promise.all(sources.map((source) => advance(source)));
  const heads = first.filter((head) => head !== undefined);
  while (heads.length > 0) {
    let least = 0;
    for (let i = 1; i < heads.length; i++) if (order.compare(heads[i]!.keys, heads[least]!.keys) < 0) least = i;
    const { source, row, keys } = heads[least]!;
    yield row;
    const next = await advance(source, keys);
    if (next === undefined) heads.splice(least, 1);
    else heads[least] = next;
  }
}

interface Order {
  keysOf(row: TextRow): Keys;
  compare(a: Keys, b: Keys): number;
}

function compileOrder(shape: ResultShape, by: readonly SortKey[]): Order {
  const parts = by.map((key) => {
    const at = columnAt(shape, key.column);
    const { type, compare } = orderedType(shape.typeOids[at]!, key.column);
    const down = key.direction === 'desc';
    const nullsFirst = (key.nulls ?? (down ? 'first' : 'last')) === 'first';
    return { at, type, name: key.column, compare, sign: down ? -1 : 1, nullSign: nullsFirst ? -1 : 1 };
  });
  return {
    keysOf: (row) => parts.map(({ at, type, name }) => readKey(type, row[at] ?? null, name)),
    compare(a, b) {
      for (const [i, { compare, sign, nullSign }] of parts.entries()) {
        const [x, y] = [a[i]!, b[i]!];
        const result =
          x === null || y === null ? nullSign * (Number(x === null) - Number(y === null)) : sign * compare(x, y);
        if (result !== 0) return result;
      }
      return 0;
    },
  };
}

export function columnAt({ columns }: ResultShape, name: string): number {
  const at = columns.indexOf(name);
  if (at < 0) throw pgError('undefinedColumn', `the result has no column "${name}"`);
  return at;
}

export function orderedType(typeOid: number, column: string) {
  const type = keyTypeOf(typeOid);
  const compare = type?.compare;
  if (type === undefined || compare === undefined) {
    throw pgError('featureNotSupported', `the order of column "${column}" is not known here (type ${typeOid})`, {
      hint: 'Cast it in the statement, to text COLLATE "C" for example.',
    });
  }
  return { type, compare };
}

export function readKey(type: KeyType, text: string | null, column: string): KeyDatum | null {
  if (text === null) return null;
  const datum = emptyDatum();
  if (type.decode(0, Buffer.from(text), datum)) return datum;
  throw pgError('featureNotSupported', `"${text}" in column "${column}" can't be compared here`);
}

function outOfOrder(shard: number, by: readonly SortKey[]) {
  const columns = by.map(({ column }) => column).join(', ');
  return pgError('dataException', `the rows of shard ${shard} are not ordered by ${columns}`, {
    hint: 'The statement needs an ORDER BY of the same columns; text is compared by bytes: ORDER BY name COLLATE "C".',
  });
}
