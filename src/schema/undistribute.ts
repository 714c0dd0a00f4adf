import { sideOf } from '../catalog/foreign-key.ts';
import type { CatalogSnapshot, DistributedTable } from '../catalog/snapshot.ts';
import { pgError, unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { arrayText } from './array-text.ts';
import { describeTables } from './describe-table.ts';
import { notice, requireOwner, storedColumns, tableOid } from './distribute.ts';
import { noteValidSql } from './foreign-keys.ts';
import { hiddenTables } from './global-index.ts';
import { dropWriteGuardSql, unguardShellSql, withShellAccess } from './guard.ts';
import type { HerdTransaction } from './herd.ts';
import { arrangeKeyWatches, forgetKeyWatches } from './key-watches.ts';
import { byOwner, ownerOf } from './owner.ts';
import { pauseTriggersSql, resumeTriggersSql } from './pause-triggers.ts';
import { onNodes, runAll } from './place-table.ts';
import type { TableShape } from './table-shape.ts';

/** undistribute_table(): the rows come back to the coordinator, and the table is an ordinary one again. */
export async function undistributeTable(tx: HerdTransaction, table: string, cascade: boolean): Promise<void> {
  const oid = await tableOid(tx.coordinator, table);
  const snapshot = await tx.snapshot();
  if (!snapshot.relationsByOid.get(oid)?.distributed) {
    throw pgError('invalidTableDefinition', `table "${table}" is not distributed`);
  }
  const connected = await foreignKeyClosure(tx.coordinator, snapshot, oid);
  if (connected.length > 1 && !cascade) {
    const names = connected.filter((other) => other !== oid).map((other) => snapshot.relationsByOid.get(other)?.name);
    throw pgError('objectNotInPrerequisiteState', `foreign keys tie table "${table}" to distributed tables`, {
      detail: `These are: ${names.join(', ')}.`,
      hint: 'Use cascade_via_foreign_keys := true to undistribute them all.',
    });
  }
  await undistributeAll(tx, snapshot, connected);
}

/** Takes tables that no foreign key ties to others back to the coordinator. */
export async function undistributeAll(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  oids: readonly number[],
): Promise<void> {
  for (const oid of oids) await requireOwner(tx.coordinator, oid);
  const entries = oids.map((oid) => snapshot.relationsByOid.get(oid)!.distributed!);
  const names = entries.map((entry) => quoteQualified(entry.schema, entry.name));
  await tx.coordinator.query(`LOCK TABLE ${names.join(', ')} IN ACCESS EXCLUSIVE MODE`);
  const shapes = await describeTables(tx.coordinator, oids);
  await refuseReadByPolicies(tx.coordinator, oids);
  await runAll(tx.coordinator, shapes.flatMap(dropForeignKeysSql));
  for (const shape of shapes) await takeBack(tx, shape, snapshot.relationsByOid.get(shape.oid)!.distributed!);
  const hidden = entries.flatMap((entry) => hiddenTables(entry, snapshot));
  const all = [...entries, ...hidden];
  const dropped = all.map((entry) => quoteQualified(entry.schema, entry.name)).join(', ');
  await onNodes(tx, snapshot, (node) => node.query(`DROP TABLE ${dropped}`));
  await forgetTables(
    tx.coordinator,
    all.map((entry) => entry.oid),
  );
  await runAll(tx.coordinator, [...hidden.map((entry) => `DROP TABLE ${quoteQualified(entry.schema, entry.name)}`)]);
  await withShellAccess(tx.coordinator, () =>
    runAll(
      tx.coordinator,
      shapes.flatMap((shape) => restoreForeignKeysSql(shape, snapshot, oids)),
    ),
  );
  await arrangeKeyWatches(tx);
  tx.changed();
}

/** On the nodes the policies of other tables would lose what they read. */
async function refuseReadByPolicies(runner: SqlRunner, oids: readonly number[]): Promise<void> {
  const { rows } = await runner.query(
    `SELECT p.polname, p.polrelid::regclass, d.refobjid::regclass FROM pg_catalog.pg_policy p
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY ($1::oid[]) AND p.polrelid <> ALL ($1::oid[])
      AND p.polrelid IN (SELECT relation FROM pgherd.dist_table) LIMIT 1`,
    [arrayText(oids)],
  );
  const [policy, table, read] = rows[0] ?? [];
  if (policy) throw unsupported('PH050', `policy "${policy}" of distributed table "${table}" reads table "${read}"`);
}

async function takeBack(tx: HerdTransaction, shape: TableShape, table: DistributedTable): Promise<void> {
  if (table.distribution.kind === 'reference') return runAll(tx.coordinator, dropWriteGuardSql(shape));
  await runAll(tx.coordinator, [...unguardShellSql(shape), ...pauseTriggersSql(shape)]);
  notice(tx, `copying the rows of ${shape.quotedName} to the coordinator ...`);
  const rows = await tx.gatherRows(table, quoteQualified(shape.schema, shape.name), storedColumns(shape, null));
  notice(tx, `copied ${rows} rows of ${shape.quotedName}`);
  await runAll(tx.coordinator, resumeTriggersSql(shape));
}

function dropForeignKeysSql(shape: TableShape): string[] {
  return shape.constraints
    .filter((constraint) => constraint.type === 'f')
    .map(({ name }) => `ALTER TABLE ${shape.quotedName} DROP CONSTRAINT ${quoteIdentifier(name)}`);
}

/** A key to a table that stays distributed was true, and can't be checked here. */
function restoreForeignKeysSql(shape: TableShape, snapshot: CatalogSnapshot, taken: readonly number[]): string[] {
  return shape.constraints
    .filter((constraint) => constraint.type === 'f')
    .flatMap(({ name, definition, reference, validated }) => {
      const parent = snapshot.relationsByOid.get(reference!.oid)?.distributed;
      const isElsewhere = sideOf(parent).kind === 'distributed' && !taken.includes(reference!.oid);
      const add = `ALTER TABLE ${shape.quotedName} ADD CONSTRAINT ${quoteIdentifier(name)} ${definition}`;
      if (!isElsewhere || !validated) return [add];
      return [`${add} NOT VALID`, byOwner(noteValidSql(shape.oid, name))];
    });
}

/** Takes tables out of the catalog, and co-location groups that nothing is left in. */
export async function forgetTables(runner: SqlRunner, oids: readonly number[]): Promise<void> {
  await forgetKeyWatches(runner, oids);
  await ownerOf(runner).query('DELETE FROM pgherd.dist_table WHERE relation = ANY ($1::oid[])', [arrayText(oids)]);
  await ownerOf(runner).query(`DELETE FROM pgherd.colocation_group g
    WHERE NOT EXISTS (SELECT FROM pgherd.dist_table t WHERE t.colocation_id = g.colocation_id)
      AND NOT EXISTS (SELECT FROM pgherd.dist_schema d WHERE d.colocation_id = g.colocation_id)`);
}

/**
 * Tables that can only be undistributed together: a distributed and another distributed one, and a reference table and those
 * that reference it. A local table may reference a reference table.
 */
export async function foreignKeyClosure(
  runner: SqlRunner,
  snapshot: CatalogSnapshot,
  start: number,
): Promise<number[]> {
  const { rows } = await runner.query(
    `SELECT k.conrelid, k.confrelid FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conrelid <> k.confrelid
    AND k.conrelid IN (SELECT relation FROM pgherd.dist_table) AND k.confrelid IN (SELECT relation FROM pgherd.dist_table)
    AND k.oid <> ALL ($1::oid[])`,
    [arrayText([...snapshot.foreignKeys.keys()])],
  );
  const edges = rows.map(([from, to]) => [Number(from), Number(to)] as const);
  const isReference = (oid: number) => snapshot.relationsByOid.get(oid)?.distributed?.distribution.kind === 'reference';
  const found = new Set([start]);
  for (const oid of found) {
    for (const [from, to] of edges) {
      if (to === oid) found.add(from);
      if (from === oid && !isReference(to)) found.add(to);
    }
  }
  return [...found].sort((a, b) => a - b);
}
