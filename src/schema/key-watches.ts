import type { SqlRunner } from '../core/runner.ts';
import { arrayText } from './array-text.ts';
import type { HerdTransaction } from './herd.ts';
import { dropWatchSql, type KeyWatch, watchesOf, watchSql } from './key-watch.ts';
import { byOwner, ownerOf, runAll } from './owner.ts';
import { onNodes } from './place-table.ts';

/** Which triggers there are, by what they were made from. `definition` is empty when the table they were on has been made anew. */
export const keyWatchTableSql = `CREATE TABLE IF NOT EXISTS pgherd.key_watch (
  id text PRIMARY KEY,
  relation oid NOT NULL,
  site text NOT NULL CHECK (site IN ('nodes', 'coordinator')),
  definition text NOT NULL);
GRANT SELECT ON pgherd.key_watch TO PUBLIC`;

/** After a change of the schema: makes the triggers what they should be, all tables considered. */
export async function arrangeKeyWatches(tx: HerdTransaction): Promise<void> {
  const { rows: found } = await tx.coordinator.query(anySql);
  if (found[0]?.[0] !== 't') return;
  const snapshot = await tx.snapshot();
  const wanted = watchesOf(snapshot);
  const { rows } = await tx.coordinator.query('SELECT id, site, definition FROM pgherd.key_watch ORDER BY id');
  const isSame = (watch: KeyWatch, row: readonly (string | null)[]) =>
    row[0] === watch.id && row[2] === definition(watch);
  const gone = rows.filter((row) => !wanted.some((watch) => isSame(watch, row)));
  const made = wanted.filter((watch) => !rows.some((row) => isSame(watch, row)));
  if (gone.length + made.length === 0) return;
  const statements = (site: string) => [
    ...gone.filter((row) => row[1] === site).map(([id]) => dropWatchSql(id!)),
    ...made.filter((watch) => watch.site === site).flatMap(watchSql),
  ];
  await runAll(tx.coordinator, statements('coordinator').map(byOwner));
  const onEach = statements('nodes').map(byOwner);
  if (onEach.length > 0) await onNodes(tx, snapshot, (node) => runAll(node, onEach));
  const catalog = ownerOf(tx.coordinator);
  await catalog.query('DELETE FROM pgherd.key_watch WHERE id = ANY ($1::text[])', [arrayText(gone.map(([id]) => id!))]);
  for (const watch of made) {
    await catalog.query('INSERT INTO pgherd.key_watch VALUES ($1, $2, $3, $4)', [
      ...[watch.id, String(watch.relation), watch.site, definition(watch)],
    ]);
  }
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
