import { pgError } from '../core/errors.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { lockAndDescribe, notice, storedColumns, tableOid } from './distribute.ts';
import { guardReferenceSql } from './guard.ts';
import type { HerdTransaction } from './herd.ts';
import { arrangeKeyWatches } from './key-watches.ts';
import { placeTable, recordTable, runAll } from './place-table.ts';
import { checkPolicies } from './policy-rules.ts';
import { checkOrdinary } from './table-rules.ts';

/** create_reference_table(): the coordinator keeps its rows, every node gets a copy. */
export async function createReferenceTable(tx: HerdTransaction, table: string): Promise<void> {
  const oid = await tableOid(tx.coordinator, table);
  const before = await tx.snapshot();
  const existing = before.relationsByOid.get(oid)?.distributed;
  if (existing) {
    if (existing.distribution.kind === 'reference')
      return notice(tx, `table "${existing.name}" is already a reference table`);
    throw pgError('invalidTableDefinition', `table "${existing.name}" is already distributed`, {
      hint: 'undistribute_table() first.',
    });
  }
  const shape = await lockAndDescribe(tx.coordinator, oid);
  checkOrdinary(shape);
  checkPolicies({ shape, distribution: null }, before);
  await recordTable(tx.coordinator, { oid, method: 'reference', key: [], groupId: null });
  tx.changed();
  await placeTable(tx, shape, await tx.snapshot(), async (recorded) => {
    const columns = storedColumns(shape, null);
    await tx.copyToAll(`SELECT ${columns.map(quoteIdentifier).join(', ')} FROM ${shape.quotedName}`, recorded, columns);
  });
  await runAll(tx.coordinator, guardReferenceSql(shape));
  await arrangeKeyWatches(tx);
}
