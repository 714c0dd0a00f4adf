import type { KeptForeignKey } from '../catalog/foreign-key.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { PgError, unsupported } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { arrayText } from './array-text.ts';
import { withPinnedSettings } from './describe-table.ts';
import type { HerdTransaction } from './herd.ts';
import { ownerOf } from './owner.ts';
import { onNodes } from './place-table.ts';

/*
 * Foreign keys that the router keeps stand on the coordinator as the user wrote them. On shells, which are empty, they never fire. Where
 * the referencing rows are on the coordinator and the referenced ones are not, PostgreSQL's own checks are switched off.
 */

export interface ForeignKeyChanges {
  /** Kept by the router from now on. */
  readonly added: readonly KeptForeignKey[];
  /** Kept before, and to be true of all rows from now on. */
  readonly validated: readonly KeptForeignKey[];
  /** Dropped, or kept by the servers from now on. */
  readonly released: readonly { readonly child: number; readonly name: string }[];
}

export async function arrangeForeignKeys(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  changes: ForeignKeyChanges,
  { checksRows = false }: { readonly checksRows?: boolean },
): Promise<void> {
  await takeFromNodes(tx, snapshot, changes.added);
  await giveToNodes(tx, snapshot, changes.released);
  await switchOwnChecks(tx, snapshot, changes, checksRows);
  const toCheck = [...(checksRows ? changes.added : []), ...changes.validated].filter(({ validated }) => validated);
  for (const { oid } of toCheck) await tx.checkForeignKey(oid);
}

/** Those that the nodes kept until now; others are none there. */
async function takeFromNodes(tx: HerdTransaction, snapshot: CatalogSnapshot, added: readonly KeptForeignKey[]) {
  const statements = added.flatMap(({ child, name }) => {
    const table = snapshot.relationsByOid.get(child)?.distributed;
    return table
      ? [`ALTER TABLE ${quoteQualified(table.schema, table.name)} DROP CONSTRAINT IF EXISTS ${quoteIdentifier(name)}`]
      : [];
  });
  if (statements.length > 0) await onNodes(tx, snapshot, (node) => node.query(statements.join(';\n')));
}

/** Those that still are, between tables that have come together. Nodes check their rows. */
async function giveToNodes(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  released: ForeignKeyChanges['released'],
): Promise<void> {
  const there = released.flatMap(({ child, name }) => {
    const table = snapshot.relationsByOid.get(child)?.distributed;
    return table ? [{ table, name }] : [];
  });
  if (there.length === 0) return;
  const { rows } = await withPinnedSettings(tx.coordinator, () =>
    tx.coordinator.query(
      `SELECT k.conrelid, k.conname, regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', '')
      FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conrelid = ANY ($1::oid[])`,
      [arrayText(there.map(({ table }) => table.oid))],
    ),
  );
  const statements = there.flatMap(({ table, name }) => {
    const found = rows.find(([relation, constraint]) => Number(relation) === table.oid && constraint === name);
    const relation = quoteQualified(table.schema, table.name);
    const add = `ALTER TABLE ${relation} ADD CONSTRAINT ${quoteIdentifier(name)} ${found?.[2]}`;
    return found ? [{ relation, name, add }] : [];
  });
  await onNodes(tx, snapshot, async (node) => {
    for (const { relation, name, add } of statements) {
      const there = await node.query(
        'SELECT FROM pg_catalog.pg_constraint WHERE conrelid = $1::regclass AND conname = $2',
        [relation, name],
      );
      if (there.rows.length === 0) await node.query(add);
    }
  });
}

/** The check triggers of keys from tables whose rows are on the coordinator to others whose rows are not. */
async function switchOwnChecks(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  { released }: ForeignKeyChanges,
  demanded: boolean,
): Promise<void> {
  const isElsewhere = (oid: number) =>
    snapshot.relationsByOid.get(oid)?.distributed?.distribution.kind === 'distributed';
  const off = [...snapshot.foreignKeys.values()].filter(
    ({ child, parent }) => !isElsewhere(child) && isElsewhere(parent),
  );
  const { rows } = await tx.coordinator.query(checkTriggersSql, [
    arrayText(off.map(({ oid }) => oid)),
    arrayText(released.map(({ child, name }) => `${child} ${name}`)),
  ]);
  if (rows.length === 0) return;
  const statements = rows.map(
    ([table, trigger, wanted]) =>
      `ALTER TABLE ${table} ${wanted === 'off' ? 'DISABLE' : 'ENABLE'} TRIGGER ${quoteIdentifier(trigger!)}`,
  );
  try {
    await ownerOf(tx.coordinator).query(statements.join(';\n'));
  } catch (error) {
    const forbidden = error instanceof PgError && error.code === conditions.insufficientPrivilege;
    if (!forbidden) throw error;
    // Then the coordinator's own check raises whenever the table is written.
    if (!demanded) return;
    throw unsupported('PH055', 'a foreign key from a table on the coordinator to a distributed table');
  }
}

const checkTriggersSql = `SELECT k.conrelid::regclass, t.tgname, CASE WHEN t.tgenabled = 'O' THEN 'off' ELSE 'on' END
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_trigger t ON t.tgconstraint = k.oid AND t.tgrelid = k.conrelid
WHERE k.contype = 'f' AND t.tgisinternal
  AND (k.oid = ANY ($1::oid[]) AND t.tgenabled = 'O'
    OR k.conrelid::bigint || ' ' || k.conname = ANY ($2::text[]) AND k.oid <> ALL ($1::oid[]) AND t.tgenabled = 'D')`;

/** Runs a statement that adds foreign keys NOT VALID. They are noted as valid: they are checked before the statement ends. */
export async function withUncheckedKeys<T>(tx: HerdTransaction, run: () => Promise<T>): Promise<T> {
  const before = new Set((await tx.snapshot()).foreignKeys.keys());
  const result = await run();
  const added = [...(await tx.snapshot()).foreignKeys.keys()].filter((oid) => !before.has(oid));
  if (added.length === 0) return result;
  if (!(await ownsCatalogs(tx))) {
    throw unsupported('PH055', 'a foreign key from a table on the coordinator to a distributed table');
  }
  await ownerOf(tx.coordinator).query(
    'UPDATE pg_catalog.pg_constraint SET convalidated = true WHERE oid = ANY ($1::oid[])',
    [arrayText(added)],
  );
  return result;
}

/** Whether the router may do at the coordinator what only a superuser may. */
export async function ownsCatalogs(tx: HerdTransaction): Promise<boolean> {
  const { rows } = await ownerOf(tx.coordinator).query(
    'SELECT r.rolsuper::text FROM pg_catalog.pg_roles r WHERE r.rolname = current_user',
  );
  return rows[0]?.[0] === 'true' || rows[0]?.[0] === 't';
}
