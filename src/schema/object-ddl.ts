import type { CatalogSnapshot, NodeEntry } from '../catalog/snapshot.ts';
import { PgError } from '../core/errors.ts';
import type { QueryResult, SqlRunner } from '../core/runner.ts';
import { changeTables } from './change-tables.ts';
import type { HerdTransaction } from './herd.ts';
import { onNodes } from './place-table.ts';
import { inlinableFunctionsSql } from './shared-objects.ts';

export interface ObjectStatement {
  /** Tables that may change with it (DROP TYPE … CASCADE drops columns). */
  readonly scope: readonly number[];
  readonly run: () => Promise<QueryResult>;
  readonly nodeText: string;
  /** A function that returns a set: see inlinableFunctionsSql. */
  readonly nodeFunction: string | null;
}

/** Types, functions, schemas, extensions …: whatever tables on nodes may use is on every server, under the same text. */
export async function changeObjects(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  statement: ObjectStatement,
): Promise<QueryResult> {
  // Tables follow before the object goes, so that on nodes too nothing depends on it by then.
  const result = await changeTables(tx, snapshot, {
    scope: statement.scope,
    run: statement.run,
    columns: () => new Map(),
  });
  await onNodesIfKnown(tx, snapshot, async (node) => {
    await node.query('SET LOCAL check_function_bodies = off');
    await node.query(statement.nodeText);
    if (statement.nodeFunction !== null) {
      const { rows } = await node.query(inlinableFunctionsSql, [statement.nodeFunction]);
      for (const [sql] of rows) await node.query(sql!);
    }
  });
  return result;
}

/**
 * Runs work on all nodes, or on none: where it needs something that only the coordinator has (a function over the row
 * type of a local table), the object stays there, and no node keeps a part of it. Any other failure is the statement's. Gives whether
 * nodes have it.
 */
export async function onNodesIfKnown(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  work: (node: SqlRunner, entry: NodeEntry) => Promise<unknown>,
): Promise<boolean> {
  const failures = await onNodes(tx, snapshot, async (node, entry) => {
    await node.query('SAVEPOINT pgherd_object');
    try {
      await work(node, entry);
      return null;
    } catch (error) {
      if (error instanceof PgError && unknownObject.has(error.code)) return error;
      throw error;
    }
  });
  const failed = failures.find((failure) => failure !== null);
  const end = failed
    ? 'ROLLBACK TO SAVEPOINT pgherd_object; RELEASE SAVEPOINT pgherd_object'
    : 'RELEASE SAVEPOINT pgherd_object';
  await onNodes(tx, snapshot, (node) => node.query(end));
  return failed === undefined;
}

/** undefined_table, _object, _function, _column, _schema: the node lacks what the statement names. */
const unknownObject: ReadonlySet<string> = new Set(['42P01', '42704', '42883', '42703', '3F000']);
