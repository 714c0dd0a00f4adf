import type { Dialect } from '../sql/dialect.ts';
import { notice, tableOid } from './distribute.ts';
import { distributeByClause, quoteName, relationExists } from './distribute-by-clause.ts';
import type { HerdTransaction } from './herd.ts';
import { undistributeTable } from './undistribute.ts';

/** ALTER TABLE … SET DISTRIBUTED …: the rows come back and go where they are to be, in one transaction. Gives the command tag. */
export async function redistribute(
  tx: HerdTransaction,
  { table, ifExists, clause }: Extract<Dialect, { kind: 'alter distribution' }>,
): Promise<string> {
  const tag = 'ALTER TABLE';
  if (ifExists && !(await relationExists(tx.coordinator, table))) {
    notice(tx, `relation "${table.name}" does not exist, skipping`);
    return tag;
  }
  const oid = await tableOid(tx.coordinator, quoteName(table));
  if (clause === null) return tag;
  const isDistributed = (await tx.snapshot()).relationsByOid.get(oid)?.distributed != null;
  if (isDistributed) await undistributeTable(tx, quoteName(table), false);
  await distributeByClause(tx, table, clause);
  return tag;
}
