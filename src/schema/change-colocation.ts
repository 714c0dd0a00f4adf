import type { CatalogSnapshot, ColocationGroup, DistributedTable } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import { arrayText } from './array-text.ts';
import { addGroupShard, sameBounds } from './colocation.ts';
import { requireOwner, tableOid } from './distribute.ts';
import type { HerdTransaction } from './herd.ts';
import { ownerOf } from './owner.ts';

/**
 * update_distributed_table_colocation(): the table joins another table's co-location group, or gets one of its own (`none`). No row
 * moves: its shards are where the other's are already, or it is refused.
 */
export async function updateColocation(tx: HerdTransaction, table: string, colocateWith: string): Promise<void> {
  const oid = await tableOid(tx.coordinator, table);
  await requireOwner(tx.coordinator, oid);
  const snapshot = await tx.snapshot();
  const entry = distributed(snapshot, oid, table);
  await refuseForeignKeys(tx, snapshot, entry.table);
  const groupId =
    colocateWith === 'none'
      ? await ownGroup(tx, entry.group)
      : targetGroup(entry, distributed(snapshot, await tableOid(tx.coordinator, colocateWith), colocateWith));
  if (groupId === entry.group.id) return;
  const catalog = ownerOf(tx.coordinator);
  await catalog.query('UPDATE pgherd.dist_table SET colocation_id = $2 WHERE relation = $1', [
    String(oid),
    String(groupId),
  ]);
  await catalog.query(`DELETE FROM pgherd.colocation_group g
    WHERE NOT EXISTS (SELECT FROM pgherd.dist_table t WHERE t.colocation_id = g.colocation_id)
      AND NOT EXISTS (SELECT FROM pgherd.dist_schema d WHERE d.colocation_id = g.colocation_id)`);
  tx.changed();
}

interface Entry {
  readonly table: DistributedTable;
  readonly group: ColocationGroup;
}

function distributed(snapshot: CatalogSnapshot, oid: number, name: string): Entry {
  const table = snapshot.relationsByOid.get(oid)?.distributed;
  if (table?.distribution.kind === 'distributed') return { table, group: table.distribution.group };
  throw pgError('invalidTableDefinition', `table "${name}" is not a distributed table`);
}

function targetGroup({ table, group }: Entry, other: Entry): number {
  const bounds = ({ shards }: ColocationGroup) => shards.map((shard) => shard.bounds);
  const places = ({ shards }: ColocationGroup) => shards.map((shard) => shard.nodeId).join();
  const problem =
    group.method !== other.group.method || !sameBounds(bounds(group), bounds(other.group))
      ? 'their shards differ'
      : group.families.join() !== other.group.families.join()
        ? 'their distribution columns are of different types'
        : places(group) !== places(other.group)
          ? 'their shards are on different nodes'
          : null;
  if (problem === null) return other.group.id;
  throw pgError('objectNotInPrerequisiteState', `cannot colocate tables "${table.name}" and "${other.table.name}"`, {
    detail: `Rows would have to move: ${problem}.`,
    hint: `SELECT alter_distributed_table('${table.name}', colocate_with := '${other.table.name}') moves them.`,
  });
}

/** A group with the same shards in the same places, which no other table joins by itself. */
async function ownGroup(tx: HerdTransaction, group: ColocationGroup): Promise<number> {
  const { rows } = await ownerOf(tx.coordinator).query(
    `INSERT INTO pgherd.colocation_group (method, shard_count, key_families, joinable) VALUES ($1, $2, $3, 'f')
    RETURNING colocation_id`,
    [group.method, String(group.shards.length), arrayText(group.families)],
  );
  const id = Number(rows[0]![0]);
  for (const { index, nodeId, bounds } of group.shards) await addGroupShard(tx.coordinator, id, index, nodeId, bounds);
  return id;
}

/** PostgreSQL keeps them on the nodes for as long as both sides stay together. */
async function refuseForeignKeys(tx: HerdTransaction, snapshot: CatalogSnapshot, table: DistributedTable) {
  const { rows } = await tx.coordinator.query(
    `SELECT k.conname, k.conrelid, k.confrelid FROM pg_catalog.pg_constraint k
    WHERE k.contype = 'f' AND k.conrelid <> k.confrelid AND $1::oid IN (k.conrelid, k.confrelid)`,
    [String(table.oid)],
  );
  const tie = rows.find((row) =>
    row
      .slice(1)
      .every((oid) => snapshot.relationsByOid.get(Number(oid))?.distributed?.distribution.kind === 'distributed'),
  );
  if (!tie) return;
  throw pgError(
    'objectNotInPrerequisiteState',
    `foreign key "${tie[0]}" ties table "${table.name}" to a co-located table`,
    {
      hint: 'Drop the foreign key first.',
    },
  );
}
