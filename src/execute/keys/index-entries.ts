import { collectResult } from '../../backend/collect-result.ts';
import type { CatalogSnapshot, DistributedTable, GlobalIndex } from '../../catalog/snapshot.ts';
import { PgError, pgError } from '../../core/errors.ts';
import { settled } from '../../core/settled.ts';
import { conditions } from '../../core/sqlstate.ts';
import type { MotionColumn } from '../../plan/plan.ts';
import { assignedSql } from '../../plan/type-name.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/quote.ts';
import type { ExecutionContext } from '../context.ts';
import { rowsAsUnnest } from '../rendered-rows.ts';
import { groupByNode } from '../route-rows.ts';
import { encodeRendered } from '../statement-bytes.ts';
import { textTuples } from '../text-tuples.ts';
import type { KeyValues } from './key-report.ts';

/**
 * A global unique index (DESIGN 6): a hidden distributed table holds the unique values and the owner's distribution key, on the node
 * that the values' hash names; its own unique index refuses duplicates. It is written in the transaction of the change.
 */
export interface KeptIndex {
  readonly owner: DistributedTable;
  readonly index: GlobalIndex;
  readonly hidden: DistributedTable;
}

export function globalIndexesOf(table: DistributedTable): readonly GlobalIndex[] {
  return table.distribution.kind === 'distributed' ? table.distribution.globalIndexes : [];
}

export function keptIndex(owner: DistributedTable, index: GlobalIndex, snapshot: CatalogSnapshot): KeptIndex {
  const hidden = snapshot.relations.get(index.hiddenSchema)?.get(index.hiddenName)?.distributed;
  if (!hidden) {
    throw pgError('internalError', `the hidden table of unique index "${index.name}" is missing from the catalog`);
  }
  return { owner, index, hidden };
}

/** NULLs are distinct from each other: a row with one among the unique columns conflicts with none, and has no entry. */
export function hasEntry({ index }: KeptIndex, entry: KeyValues): boolean {
  return index.nullsNotDistinct || !entry.slice(0, index.columns.length).includes(null);
}

/** A duplicate raises 23505 under the user's own names. */
export async function addEntries(kept: KeptIndex, entries: readonly KeyValues[], context: ExecutionContext) {
  await onEntries(kept, entries, context, (item) => {
    const list = kept.hidden.columns.map(({ name }) => quoteIdentifier(name)).join(', ');
    return `INSERT INTO ${hiddenName(kept)} (${list}) SELECT ${item.casts} FROM ${item.sql}`;
  });
}

export async function removeEntries(kept: KeptIndex, entries: readonly KeyValues[], context: ExecutionContext) {
  const unique = kept.index.columns.length;
  const match = kept.hidden.columns.map(({ name, notNull }, i) => {
    const [own, other] = [`h.${quoteIdentifier(name)}`, `r.${quoteIdentifier(name)}`];
    // `=` goes by the index. Where there may be a null, the rest of the entry is few rows.
    if (i < unique && (notNull || !kept.index.nullsNotDistinct)) return `${own} = ${other}`;
    return `${own} IS NOT DISTINCT FROM ${other}`;
  });
  await onEntries(
    kept,
    entries,
    context,
    (item) =>
      `DELETE FROM ${hiddenName(kept)} AS h USING (SELECT ${item.casts} FROM ${item.sql}) AS r WHERE ${match.join(' AND ')}`,
  );
}

/** An entry that was free until now, for the row at `place`. */
export interface Claim {
  readonly place: number;
  readonly entry: KeyValues;
}

/**
 * Takes values for rows that are yet to be inserted; waits for whoever is about to take the same. `tuples` have the hidden table's columns
 * as they travel, and their place behind. What the rows then report is set off against the claims.
 */
export async function claimEntries(
  kept: KeptIndex,
  columns: readonly MotionColumn[],
  tuples: readonly Buffer[],
  context: ExecutionContext,
): Promise<Claim[]> {
  const names = kept.hidden.columns.map(({ name }) => quoteIdentifier(name));
  const list = names.join(', ');
  const texts = names.map((name) => `taken.${name}::text`).join(', ');
  // In the order of their places, conflicts among them are decided. Of equal values that are written differently, one is taken.
  const rows = await onNodesOf(
    kept,
    [...columns, ordinal],
    tuples,
    context,
    (item) => `WITH r AS MATERIALIZED (SELECT ${item.casts}, x.pgherd_i FROM ${item.sql}),
  taken AS (INSERT INTO ${hiddenName(kept)} (${list}) SELECT ${list} FROM r ORDER BY pgherd_i::integer ON CONFLICT DO NOTHING RETURNING *)
SELECT min(r.pgherd_i::integer), ${texts} FROM r JOIN taken ON ${sameEntry(kept, 'taken', 'r')}
GROUP BY ${names.map((name) => `taken.${name}`).join(', ')}`,
  );
  return rows.map(([place, ...entry]) => ({ place: Number(place), entry }));
}

/** The entries that have the same unique values as these, which may be another's: `tuples` as in claimEntries(). */
export async function findEntries(
  kept: KeptIndex,
  columns: readonly MotionColumn[],
  tuples: readonly Buffer[],
  context: ExecutionContext,
): Promise<Claim[]> {
  const texts = kept.hidden.columns.map(({ name }) => `h.${quoteIdentifier(name)}::text`).join(', ');
  const rows = await onNodesOf(
    kept,
    [...columns, ordinal],
    tuples,
    context,
    (item) => `SELECT r.pgherd_i, ${texts} FROM ${hiddenName(kept)} AS h
  JOIN (SELECT ${item.casts}, x.pgherd_i FROM ${item.sql}) AS r ON ${sameUnique(kept, 'h', 'r')}`,
  );
  return rows.map(([place, ...entry]) => ({ place: Number(place), entry }));
}

/** SQL: `=` goes by the index. */
export function sameUnique({ hidden, index }: KeptIndex, a: string, b: string): string {
  return index.columns
    .map((name) => {
      const [own, other] = [`${a}.${quoteIdentifier(name)}`, `${b}.${quoteIdentifier(name)}`];
      const mayBeNull = index.nullsNotDistinct && !hidden.columns.find((column) => column.name === name)!.notNull;
      return mayBeNull ? `${own} IS NOT DISTINCT FROM ${other}` : `${own} = ${other}`;
    })
    .join(' AND ');
}

const ordinal: MotionColumn = { name: 'pgherd_i', typeOid: 25, typeName: 'text', collation: null, viaText: true };

function sameEntry({ hidden }: KeptIndex, a: string, b: string): string {
  return hidden.columns
    .map(({ name }) => `${a}.${quoteIdentifier(name)} IS NOT DISTINCT FROM ${b}.${quoteIdentifier(name)}`)
    .join(' AND ');
}

function hiddenName({ hidden }: KeptIndex): string {
  return quoteQualified(hidden.schema, hidden.name);
}

interface EntriesItem {
  readonly sql: string;
  /** The columns, cast from text to their types and named. */
  readonly casts: string;
}

/** The hidden table's columns; they travel as text. */
function entryColumns({ hidden }: KeptIndex): MotionColumn[] {
  return hidden.columns.map(({ name, typeOid, typeName, collation }) => ({
    ...{ name, typeOid, typeName, collation, viaText: true },
  }));
}

async function onEntries(
  kept: KeptIndex,
  entries: readonly KeyValues[],
  context: ExecutionContext,
  write: (item: EntriesItem) => string,
): Promise<void> {
  await onNodesOf(kept, entryColumns(kept), textTuples(entries), context, write);
}

/** Runs a statement over entries on the nodes that they belong to; gives all rows of the answers. */
async function onNodesOf(
  kept: KeptIndex,
  columns: readonly MotionColumn[],
  tuples: readonly Buffer[],
  context: ExecutionContext,
  write: (item: EntriesItem) => string,
): Promise<(readonly (string | null)[])[]> {
  if (tuples.length === 0) return [];
  const { hidden } = kept;
  const byNode = await groupByNode(hidden, columns, tuples, context);
  const casts = hidden.columns
    .map((column) => `${assignedSql(`x.${quoteIdentifier(column.name)}`, column)} AS ${quoteIdentifier(column.name)}`)
    .join(', ');
  const answers = await settled(
    [...byNode].map(async ([node, own]) => {
      const connection = await context.transaction.join(node, context.signal);
      context.transaction.markWritten(node);
      const item = rowsAsUnnest(own, columns, 'x', 1);
      const sql = write({ sql: item.sql, casts });
      const { rows } = await collectResult(connection, encodeRendered({ sql, values: item.values }, [], false));
      return rows;
    }),
  ).catch((error) => {
    throw underUsersNames(error, kept);
  });
  return answers.flat();
}

function underUsersNames(error: unknown, { owner }: KeptIndex): unknown {
  if (!(error instanceof PgError) || error.code !== conditions.uniqueViolation) return error;
  return new PgError({ ...error.fields, schema: owner.schema, table: owner.name });
}
