import { type Distribution, isKeyed } from '../catalog/snapshot.ts';
import { unreachable } from '../core/assert.ts';
import type { Dialect, DistributionMode } from '../sql/dialect.ts';
import { notice, tableOid } from './distribute.ts';
import { distributeByClause, quoteName, relationExists } from './distribute-by-clause.ts';
import type { HerdTransaction } from './herd.ts';
import { undistributeTable } from './undistribute.ts';

/** ALTER TABLE … SET DISTRIBUTED …: the rows come back and go where they are to be, in one transaction. Gives the command tag. */
export async function redistribute(
  tx: HerdTransaction,
  { table, ifExists, clause, reorganize }: Extract<Dialect, { kind: 'alter distribution' }>,
): Promise<string> {
  const tag = 'ALTER TABLE';
  const name = quoteName(table);
  if (ifExists && !(await relationExists(tx.coordinator, table))) {
    notice(tx, `relation "${table.name}" does not exist, skipping`);
    return tag;
  }
  const oid = await tableOid(tx.coordinator, name);
  const found = (await tx.snapshot()).relationsByOid.get(oid)?.distributed?.distribution ?? null;
  // Rows that have a key are where it says; those that have none may be spread anew.
  const spread = found?.kind === 'distributed' && !isKeyed(found) && reorganize;
  const wish = clause ?? (spread ? ({ mode: { kind: 'random' }, nodes: { kind: 'all' } } as const) : null);
  const isSo = found !== null && wish !== null && wish.nodes.kind === 'all' && isDistributedSo(found, wish.mode);
  if (wish === null || (isSo && !spread)) {
    notice(tx, `the rows of table ${name} are where they are to be, nothing to do`);
    return tag;
  }
  if (found !== null) await undistributeTable(tx, name, false);
  await distributeByClause(tx, table, wish);
  return tag;
}

function isDistributedSo(distribution: Distribution, mode: DistributionMode): boolean {
  switch (mode.kind) {
    case 'replicated':
      return distribution.kind === 'reference';
    case 'random':
      return distribution.kind === 'distributed' && distribution.method === 'random';
    case 'hash':
      return (
        distribution.kind === 'distributed' &&
        distribution.method === 'hash' &&
        distribution.keys.map((key) => key.name).join('\0') === mode.columns.join('\0')
      );
    default:
      return unreachable(mode);
  }
}
