import type { DistributedTable } from '../catalog/snapshot.ts';
import type { MotionColumn } from '../plan/plan.ts';
import type { ExecutionContext } from './context.ts';
import { type Claim, claimEntries, globalIndexesOf, type KeptIndex, keptIndex } from './keys/index-entries.ts';
import { tupleOf, tupleValues } from './text-tuples.ts';

/**
 * The rows in parts that are inserted one after another: within a part no two rows have the same value in one of these indexes, so
 * that what the indexes have can be looked up for a whole part at once.
 */
export function withoutRepeats(
  table: DistributedTable,
  places: readonly number[],
  columns: readonly MotionColumn[],
  rows: readonly Buffer[],
): Buffer[][] {
  const indexes = places.map((place) => globalIndexesOf(table)[place]!);
  const seen = new Map<string, number>();
  const parts: Buffer[][] = [];
  for (const row of rows) {
    const fields = tupleValues(row);
    const keys = indexes.map(({ name, columns: unique, nullsNotDistinct }) => {
      const values = unique.map((each) => fields[columns.findIndex((column) => column.name === each)] ?? null);
      return !nullsNotDistinct && values.includes(null) ? null : `${name} ${tupleOf(values).toString('latin1')}`;
    });
    const known = keys.flatMap((key) => (key === null ? [] : [seen.get(key) ?? 0]));
    // Behind every earlier row that it may conflict with.
    const part = Math.max(0, ...known);
    for (const key of keys) if (key !== null) seen.set(key, part + 1);
    const list = parts[part];
    if (list) list.push(row);
    else parts[part] = [row];
  }
  return parts;
}

/**
 * The rows that conflict with none of these indexes: their values are taken in the indexes, which waits for others who are about to do
 * the same. What is taken for a row that is not inserted after all is given back when its statement is settled.
 */
export async function withoutConflicts(
  table: DistributedTable,
  places: readonly number[],
  columns: readonly MotionColumn[],
  rows: readonly Buffer[],
  context: ExecutionContext,
): Promise<Buffer[]> {
  let left = [...rows];
  for (const place of places) {
    left = (await claimFree(keptIndex(table, globalIndexesOf(table)[place]!, context.snapshot), columns, left, context))
      .free;
  }
  return left;
}

/** Rows that wait for nobody's value, and those whose value an index has already: `asked` is of these, as findEntries() takes it. */
export interface Claimed {
  readonly free: Buffer[];
  readonly claims: readonly Claim[];
  readonly taken: Buffer[];
  readonly asked: Buffer[];
}

export async function claimFree(
  kept: KeptIndex,
  columns: readonly MotionColumn[],
  rows: readonly Buffer[],
  context: ExecutionContext,
): Promise<Claimed> {
  const wanted = rows.map((row) => entryOf(kept, columns, row));
  const asked = wanted.flatMap((entry, i) => (entry === null ? [] : [tupleOf([...entry, Buffer.from(String(i))])]));
  const claims = await claimEntries(kept, travellingColumns(kept, columns), asked, context);
  context.keys.noteClaims(
    kept,
    claims.map(({ entry }) => entry),
  );
  const claimed = new Set(claims.map((claim) => claim.place));
  const isFree = (i: number) => wanted[i] === null || claimed.has(i);
  const taken = rows.flatMap((row, i) => (isFree(i) ? [] : [{ row, entry: wanted[i]! }]));
  return {
    free: rows.filter((_, i) => isFree(i)),
    claims,
    taken: taken.map(({ row }) => row),
    asked: taken.map(({ entry }, i) => tupleOf([...entry, Buffer.from(String(i))])),
  };
}

/** What an index will have of a row, as it travels; null: nothing. Columns that the row leaves out are null. */
function entryOf(
  { hidden, index }: KeptIndex,
  columns: readonly MotionColumn[],
  row: Buffer,
): (Buffer | null)[] | null {
  const fields = tupleValues(row);
  const entry = hidden.columns.map(({ name }) => fields[columns.findIndex((column) => column.name === name)] ?? null);
  return !index.nullsNotDistinct && entry.slice(0, index.columns.length).includes(null) ? null : entry;
}

/** As the hidden table's columns travel. */
export function travellingColumns({ hidden }: KeptIndex, columns: readonly MotionColumn[]): MotionColumn[] {
  return hidden.columns.map(
    ({ name, typeOid, typeName }): MotionColumn =>
      columns.find((column) => column.name === name) ?? {
        ...{ name, typeOid, typeName },
        collation: null,
        viaText: true,
      },
  );
}
