import type { Node } from '@pgsql/types';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { QueryResult } from '../core/runner.ts';
import { quoteQualified } from '../sql/quote.ts';
import type { DdlKind } from './ddl-action.ts';
import { type Context, local, relationOf } from './ddl-context.ts';
import type { HerdTransaction } from './herd.ts';
import { onNodes } from './place-table.ts';

interface Lock {
  readonly relations?: Node[];
  /** LOCKMODE of lockdefs.h, from 1. */
  readonly mode?: number;
  readonly nowait?: boolean;
}

/** LOCK TABLE over distributed tables, or over views, beneath which such may be. */
export function lock({ relations = [], mode = 8, nowait = false }: Lock, context: Context): DdlKind {
  const found = relations.map((entry) => relationOf(context, 'RangeVar' in entry ? entry.RangeVar : undefined));
  const concerned = found.some(
    (relation) => relation !== null && (relation.distributed !== null || relation.kind === 'view'),
  );
  return concerned ? { kind: 'lock', mode, nowait, needsBlock: true } : local;
}

/**
 * The coordinator first: it judges rights, puts those who lock in order, and knows what is beneath views. Then the tables that it has
 * locked so, where their rows are.
 */
export async function lockTables(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  run: () => Promise<QueryResult>,
  { mode, nowait }: Pick<Extract<DdlKind, { kind: 'lock' }>, 'mode' | 'nowait'>,
): Promise<QueryResult> {
  const result = await run();
  const { rows } = await tx.coordinator.query(
    `SELECT DISTINCT relation FROM pg_catalog.pg_locks
      WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted AND mode = '${camelCase(modes[mode]!)}Lock'
      ORDER BY relation`,
  );
  const tables = rows.flatMap(([oid]) => snapshot.relationsByOid.get(Number(oid))?.distributed ?? []);
  if (tables.length === 0) return result;
  const names = tables.map((table) => quoteQualified(table.schema, table.name)).join(', ');
  const sql = `LOCK TABLE ${names} IN ${modes[mode]} MODE${nowait ? ' NOWAIT' : ''}`;
  await onNodes(tx, snapshot, (node) => node.query(sql));
  return result;
}

const modes: Readonly<Record<number, string>> = {
  1: 'ACCESS SHARE',
  2: 'ROW SHARE',
  3: 'ROW EXCLUSIVE',
  4: 'SHARE UPDATE EXCLUSIVE',
  5: 'SHARE',
  6: 'SHARE ROW EXCLUSIVE',
  7: 'EXCLUSIVE',
  8: 'ACCESS EXCLUSIVE',
};

/** As pg_locks writes it: `AccessShare`. */
function camelCase(words: string): string {
  return words.replaceAll(/(\w)(\w*) ?/g, (_, first: string, rest: string) => first + rest.toLowerCase());
}
