import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { QueryResult } from '../core/runner.ts';
import { quoteQualified } from '../sql/quote.ts';
import { arrayText } from './array-text.ts';
import { hiddenTables } from './global-index.ts';
import type { HerdTransaction } from './herd.ts';
import { onNodes } from './place-table.ts';

export interface TruncateStatement {
  readonly relations: readonly number[];
  readonly cascade: boolean;
}

/**
 * TRUNCATE as written on the coordinator: it knows which tables may not be truncated alone, restarts sequences, and empties
 * local tables and its copies of reference tables. Then the same tables on the nodes, with their hidden tables.
 */
export async function truncateTables(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  run: () => Promise<QueryResult>,
  { relations, cascade }: TruncateStatement,
): Promise<QueryResult> {
  const oids = cascade ? await referencing(tx, relations) : relations;
  const result = await run();
  const tables = oids.flatMap((oid) => snapshot.relationsByOid.get(oid)?.distributed ?? []);
  const all = [...tables, ...tables.flatMap((table) => hiddenTables(table, snapshot))];
  const names = all.map((table) => quoteQualified(table.schema, table.name)).join(', ');
  if (all.length > 0) await onNodes(tx, snapshot, (node) => node.query(`TRUNCATE ${names}`));
  return result;
}

/** The tables and all that reference them, directly or not. */
async function referencing(tx: HerdTransaction, relations: readonly number[]): Promise<number[]> {
  const { rows } = await tx.coordinator.query(
    `WITH RECURSIVE t(oid) AS (SELECT unnest($1::oid[])
      UNION SELECT k.conrelid FROM t JOIN pg_catalog.pg_constraint k ON k.confrelid = t.oid AND k.contype = 'f')
    SELECT oid FROM t`,
    [arrayText(relations)],
  );
  return rows.map(([oid]) => Number(oid));
}
