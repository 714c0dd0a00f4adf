import type { CatalogSnapshot, DistributedTable } from '../catalog/snapshot.ts';
import type { StatementTrigger } from '../catalog/statement-trigger.ts';
import { unsupported } from '../core/errors.ts';
import type { QueryResult } from '../core/runner.ts';
import { quoteQualified } from '../sql/quote.ts';
import { arrayText } from './array-text.ts';
import { withFiringTriggers } from './fire-triggers.ts';
import { hiddenTables } from './global-index.ts';
import { withShellAccess } from './guard.ts';
import type { HerdTransaction } from './herd.ts';
import { onNodes } from './place-table.ts';

export interface TruncateStatement {
  readonly relations: readonly number[];
  readonly cascade: boolean;
}

/**
 * TRUNCATE as written on the coordinator: it knows which tables may not be truncated alone, restarts sequences, and empties
 * local tables and its copies of reference tables. Then the same tables on the nodes, with their hidden tables. Triggers fire on the
 * coordinator: where some wait for the end, the nodes come first, so that they find the tables empty.
 */
export async function truncateTables(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  run: () => Promise<QueryResult>,
  { relations, cascade }: TruncateStatement,
): Promise<QueryResult> {
  const oids = cascade ? await referencing(tx, relations) : relations;
  const tables = oids.flatMap((oid) => snapshot.relationsByOid.get(oid)?.distributed ?? []);
  const all = [...tables, ...tables.flatMap((table) => hiddenTables(table, snapshot))];
  const names = all.map((table) => quoteQualified(table.schema, table.name)).join(', ');
  const truncateNodes = async () => {
    if (all.length > 0) await onNodes(tx, snapshot, (node) => node.query(`TRUNCATE ${names}`));
  };
  const triggers = tables.flatMap(truncateTriggers);
  if (triggers.length === 0) {
    const result = await withShellAccess(tx.coordinator, run);
    await truncateNodes();
    return result;
  }
  const late = triggers.some(({ before }) => !before);
  if (late && triggers.some(({ before }) => before)) {
    throw unsupported('PH033', 'TRUNCATE of distributed tables with triggers BEFORE and AFTER it');
  }
  if (late) await truncateNodes();
  const result = await withFiringTriggers(tx.coordinator, run);
  if (!late) await truncateNodes();
  return result;
}

function truncateTriggers({ statementTriggers, distribution }: DistributedTable): StatementTrigger[] {
  if (distribution.kind !== 'distributed') return [];
  return statementTriggers.filter(({ events }) => events.includes('truncate'));
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
