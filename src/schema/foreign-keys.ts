import { sideOf } from '../catalog/foreign-key.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/quote.ts';
import { withPinnedSettings } from './describe-table.ts';
import { withShellAccess } from './guard.ts';
import type { HerdTransaction } from './herd.ts';
import { ownsCatalogs } from './kept-foreign-keys.ts';
import { byOwner } from './owner.ts';
import type { TableShape } from './table-shape.ts';

/**
 * A table can't be emptied on the coordinator while foreign keys reference it. Drops them here; gives the SQL that brings them
 * back. From tables whose rows are on the coordinator they come back NOT VALID, for there is nothing left that they could be
 * checked against; they were true, and are noted as such. Only where the router is no superuser such a key is on hold,
 * and a write to its table raises, until that table is distributed too: migrations make all tables first and distribute them one after the other.
 */
export async function loosenIncomingKeys(
  tx: HerdTransaction,
  oid: number,
  snapshot: CatalogSnapshot,
): Promise<string[]> {
  const { rows } = await withPinnedSettings(tx.coordinator, () => tx.coordinator.query(incomingSql, [String(oid)]));
  const isFree = rows.length > 0 && (await ownsCatalogs(tx));
  const restore: string[] = [];
  for (const [table, name, definition, child, validated] of rows) {
    const alter = `ALTER TABLE ${table} `;
    await tx.coordinator.query(`${alter}DROP CONSTRAINT ${quoteIdentifier(name!)}`);
    const isShell = sideOf(snapshot.relationsByOid.get(Number(child))?.distributed).kind === 'distributed';
    const suffix = isShell && validated === 't' ? '' : ' NOT VALID';
    restore.push(`${alter}ADD CONSTRAINT ${quoteIdentifier(name!)} ${definition}${suffix}`);
    if (isShell || validated !== 't') continue;
    if (isFree) {
      restore.push(byOwner(noteValidSql(Number(child), name!)));
      continue;
    }
    tx.notice({
      severity: 'NOTICE',
      code: '00000',
      message: `foreign key ${quoteIdentifier(name!)} of table ${table} is on hold until that table is distributed too`,
      hint: `Distribute ${table} co-located with the table that it references.`,
    });
  }
  return restore;
}

/** What is known to be true is noted as checked; only a superuser may. */
export function noteValidSql(child: number, name: string): string {
  return `UPDATE pg_catalog.pg_constraint SET convalidated = true WHERE contype = 'f' AND conrelid = ${child}::oid AND conname = ${quoteLiteral(name)}`;
}

const incomingSql = `SELECT k.conrelid::regclass, k.conname, regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''), k.conrelid, k.convalidated
FROM pg_constraint k
WHERE k.confrelid = $1::oid AND k.conrelid <> k.confrelid AND k.contype = 'f' AND k.conparentid = 0`;

/** The nodes have validated the keys over the real rows; the empty shell follows. */
export async function validateForeignKeys(runner: SqlRunner, shape: TableShape): Promise<void> {
  const open = shape.constraints.filter((constraint) => constraint.type === 'f' && !constraint.validated);
  if (open.length === 0) return;
  const statements = open.map(
    ({ name }) => `ALTER TABLE ${shape.quotedName} VALIDATE CONSTRAINT ${quoteIdentifier(name)}`,
  );
  await withShellAccess(runner, () => runner.query(statements.join(';\n')));
}
