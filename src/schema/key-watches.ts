import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { SqlRunner } from '../core/runner.ts';
import { arrayText } from './array-text.ts';
import type { HerdTransaction } from './herd.ts';
import { arrangeForeignKeys, type ForeignKeyChanges } from './kept-foreign-keys.ts';
import { dropWatchSql, type KeyWatch, watchesOf, watchSql } from './key-watch.ts';
import { byOwner, ownerOf, runAll } from './owner.ts';
import { onNodes } from './place-table.ts';

/** Which triggers there are, by what they were made from. `definition` is empty when the table they were on has been made anew. */
export const keyWatchTableSql = `CREATE TABLE IF NOT EXISTS pgherd.key_watch (
  id text PRIMARY KEY,
  relation oid NOT NULL,
  site text NOT NULL CHECK (site IN ('nodes', 'coordinator')),
  definition text NOT NULL);
-- Of the referencing side of a foreign key.
ALTER TABLE pgherd.key_watch ADD COLUMN IF NOT EXISTS constraint_name text, ADD COLUMN IF NOT EXISTS validated boolean;
GRANT SELECT ON pgherd.key_watch TO PUBLIC`;

export interface KeyArrangement {
  /** The statement may have added foreign keys over rows that are there: they are checked. */
  readonly checksRows?: boolean;
}

/** After a change of the schema: makes the triggers, and what goes with foreign keys, what they should be, all tables considered. */
export async function arrangeKeyWatches(tx: HerdTransaction, how: KeyArrangement = {}): Promise<void> {
  const { rows: found } = await tx.coordinator.query(anySql);
  if (found[0]?.[0] !== 't') return;
  const snapshot = await tx.snapshot();
  const { rows } = await tx.coordinator.query(
    'SELECT id, site, definition, relation, constraint_name, validated FROM pgherd.key_watch ORDER BY id',
  );
  const changes = foreignKeyChanges(snapshot, rows);
  await arrangeTriggers(tx, snapshot, rows);
  await arrangeForeignKeys(tx, snapshot, changes, how);
}

type WatchRow = readonly (string | null)[];

async function arrangeTriggers(tx: HerdTransaction, snapshot: CatalogSnapshot, rows: readonly WatchRow[]) {
  const wanted = watchesOf(snapshot);
  const isSame = (watch: KeyWatch, row: WatchRow) => row[0] === watch.id && row[2] === definition(watch);
  const gone = rows.filter((row) => !wanted.some((watch) => isSame(watch, row)));
  const made = wanted.filter((watch) => !rows.some((row) => isSame(watch, row)));
  const statements = (site: string) => [
    ...gone.filter((row) => row[1] === site).map(([id]) => dropWatchSql(id!)),
    ...made.filter((watch) => watch.site === site).flatMap(watchSql),
  ];
  await runAll(tx.coordinator, statements('coordinator').map(byOwner));
  const onEach = statements('nodes').map(byOwner);
  if (onEach.length > 0) await onNodes(tx, snapshot, (node) => runAll(node, onEach));
  const catalog = ownerOf(tx.coordinator);
  if (gone.length > 0) {
    await catalog.query('DELETE FROM pgherd.key_watch WHERE id = ANY ($1::text[])', [
      arrayText(gone.map(([id]) => id!)),
    ]);
  }
  for (const watch of made) {
    await catalog.query('INSERT INTO pgherd.key_watch (id, relation, site, definition) VALUES ($1, $2, $3, $4)', [
      watch.id,
      String(watch.relation),
      watch.site,
      definition(watch),
    ]);
  }
  for (const key of snapshot.foreignKeys.values()) {
    await catalog.query('UPDATE pgherd.key_watch SET constraint_name = $2, validated = $3 WHERE id = $1', [
      ...[`c${key.oid}`, key.name, key.validated ? 't' : 'f'],
    ]);
  }
}

/** By table and name: PostgreSQL makes a constraint anew when the type of one of its columns changes. */
function foreignKeyChanges(snapshot: CatalogSnapshot, rows: readonly WatchRow[]): ForeignKeyChanges {
  const before = rows.filter(([id]) => id!.startsWith('c'));
  const kept = [...snapshot.foreignKeys.values()];
  const known = (child: number, name: string) =>
    before.find(([, , , relation, constraint]) => Number(relation) === child && constraint === name);
  return {
    added: kept.filter(({ child, name }) => !known(child, name)),
    validated: kept.filter(({ oid, child, name, validated }) => {
      const row = known(child, name);
      return validated && row !== undefined && (row[5] !== 't' || row[0] !== `c${oid}`);
    }),
    released: before.flatMap(([, , , relation, name]) =>
      kept.some((key) => key.child === Number(relation) && key.name === name)
        ? []
        : [{ child: Number(relation), name: name! }],
    ),
  };
}

/** Of a node that joins the herd. */
export async function makeKeyWatches(tx: HerdTransaction, node: SqlRunner): Promise<void> {
  const watches = watchesOf(await tx.snapshot()).filter(({ site }) => site === 'nodes');
  await runAll(node, watches.flatMap(watchSql).map(byOwner));
}

/** Tables of these OIDs are dropped on the nodes, and perhaps made anew. */
export async function forgetKeyWatches(runner: SqlRunner, oids: readonly number[]): Promise<void> {
  await ownerOf(runner).query("UPDATE pgherd.key_watch SET definition = '' WHERE relation = ANY ($1::oid[])", [
    arrayText(oids),
  ]);
}

function definition(watch: KeyWatch): string {
  return `${watch.site} ${watch.relation} ${watchSql({ ...watch, schema: '', name: '' }).join('; ')}`;
}

const anySql = `SELECT EXISTS (SELECT FROM pgherd.key_watch) OR EXISTS (SELECT FROM pgherd.global_index)
  OR EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contype = 'f'
    AND (k.conrelid IN (SELECT relation FROM pgherd.dist_table) OR k.confrelid IN (SELECT relation FROM pgherd.dist_table)))`;
