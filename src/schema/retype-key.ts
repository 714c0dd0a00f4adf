import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { QueryResult } from '../core/runner.ts';
import { inReferenceOrder, written } from './alter-distribution.ts';
import { createDistributedTable, notice } from './distribute.ts';
import type { HerdTransaction } from './herd.ts';
import { foreignKeyClosure, undistributeAll } from './undistribute.ts';

/**
 * ALTER TABLE that gives a distribution column another type: all rows may belong elsewhere then. The table comes back to the
 * coordinator, with those that foreign keys of the nodes' own tie to it, is changed there, and is distributed anew: in one transaction.
 */
export async function retypeKey(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  oid: number,
  run: () => Promise<QueryResult>,
): Promise<QueryResult> {
  const tied = await foreignKeyClosure(tx.coordinator, snapshot, oid);
  const tables = tied.map((each) => snapshot.relationsByOid.get(each)!.distributed!);
  const name = snapshot.relationsByOid.get(oid)!.name;
  notice(tx, `the rows of table "${name}" are distributed anew, for their distribution column gets another type`);
  await undistributeAll(tx, snapshot, tied);
  const result = await run();
  const all = tables.map((table) => ({
    table,
    wish: written(table, { column: null, shardCount: null, colocateWith: 'default' }),
  }));
  for (const { wish } of await inReferenceOrder(tx, all)) await createDistributedTable(tx, wish);
  return result;
}
