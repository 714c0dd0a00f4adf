import type { SqlRunner } from '../core/runner.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { withPinnedSettings } from './describe-table.ts';
import { withShellAccess } from './guard.ts';
import type { HerdTransaction } from './herd.ts';
import type { TableShape } from './table-shape.ts';

/**
 * Migrations make all tables first and distribute them one after the other, so a referenced table is distributed while the
 * referencing one is still local. Its foreign key is kept, NOT VALID, until that one follows: rows it has stay, and a
 * write to it raises the guard of the shell. Drops them here; gives the SQL that brings them back.
 */
export async function loosenIncomingKeys(tx: HerdTransaction, oid: number): Promise<string[]> {
  const { rows } = await withPinnedSettings(tx.coordinator, () => tx.coordinator.query(incomingSql, [String(oid)]));
  const restore: string[] = [];
  for (const [table, name, definition] of rows) {
    const alter = `ALTER TABLE ${table} `;
    await tx.coordinator.query(`${alter}DROP CONSTRAINT ${quoteIdentifier(name!)}`);
    restore.push(`${alter}ADD CONSTRAINT ${quoteIdentifier(name!)} ${definition} NOT VALID`);
    tx.notice({
      severity: 'NOTICE',
      code: '00000',
      message: `foreign key ${quoteIdentifier(name!)} of table ${table} is on hold until that table is distributed too`,
      hint: `Distribute ${table} co-located with the table that it references.`,
    });
  }
  return restore;
}

/** Foreign keys of tables that are not distributed themselves. */
const incomingSql = `SELECT k.conrelid::regclass, k.conname, regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')
FROM pg_constraint k
WHERE k.confrelid = $1::oid AND k.conrelid <> k.confrelid AND k.contype = 'f' AND k.conparentid = 0
  AND k.conrelid NOT IN (SELECT t.relation FROM pgherd.dist_table t)`;

/** The nodes have validated the keys over the real rows; the empty shell follows. */
export async function validateForeignKeys(runner: SqlRunner, shape: TableShape): Promise<void> {
  const open = shape.constraints.filter((constraint) => constraint.type === 'f' && !constraint.validated);
  if (open.length === 0) return;
  const statements = open.map(
    ({ name }) => `ALTER TABLE ${shape.quotedName} VALIDATE CONSTRAINT ${quoteIdentifier(name)}`,
  );
  await withShellAccess(runner, () => runner.query(statements.join(';\n')));
}
