import type { ColocationGroup, DistributedTable, NodeEntry } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { pgError, unsupported } from '../core/errors.ts';
import { addGroupShard, shardNodes } from './colocation.ts';
import { describeTables, withPinnedSettings } from './describe-table.ts';
import { requireOwner, tableOid } from './distribute.ts';
import { keyOfColumns } from './distribution-key.ts';
import type { HerdTransaction } from './herd.ts';
import { leafName } from './node-relations.ts';
import { addLeafSql, defaultCheckName, defaultCheckSql } from './node-table.ts';
import { ownerOf } from './owner.ts';
import { nodeTable, runAll, schemaOf } from './place-table.ts';
import { checkBoundsApart, readShardBounds } from './shard-bounds.ts';

export interface AddShardArguments {
  readonly table: string;
  readonly bounds: string;
  /** null: the active node with the fewest shards of the group. */
  readonly node: { readonly name: string; readonly port: number | null } | null;
}

/** pgherd_add_shard(): a new shard of a RANGE or LIST table, and of all tables that are co-located with it. Gives its id. */
export async function addShard(tx: HerdTransaction, args: AddShardArguments): Promise<number> {
  const before = await tx.snapshot();
  const table = before.relationsByOid.get(await tableOid(tx.coordinator, args.table))?.distributed;
  if (table?.distribution.kind !== 'distributed') {
    throw pgError('invalidTableDefinition', `table "${args.table}" is not a distributed table`);
  }
  await requireOwner(tx.coordinator, table.oid);
  const { group } = table.distribution;
  if (group.method === 'hash' || group.method === 'random') {
    throw unsupported('PH037', `a table distributed by ${group.method.toUpperCase()} has all its shards already`);
  }
  const bounds = await newBounds(tx, table, group, args.bounds);
  let index = group.shards.length;
  for (const bound of bounds) {
    const node = await chooseNode(tx, group, await shardNodes(tx.coordinator, before), args.node, index);
    await addGroupShard(tx.coordinator, group.id, index++, node.id, bound);
  }
  await ownerOf(tx.coordinator).query(
    `UPDATE pgherd.colocation_group SET shard_count = $2 WHERE colocation_id = $1`,
    [group.id, index].map(String),
  );
  await ownerOf(tx.coordinator).query(
    `INSERT INTO pgherd.shard (relation, shard_index) SELECT t.relation, g.shard_index
    FROM pgherd.dist_table t JOIN pgherd.group_shard g USING (colocation_id)
    WHERE t.colocation_id = $1 AND g.shard_index >= $2 ORDER BY t.relation, g.shard_index`,
    [group.id, group.shards.length].map(String),
  );
  tx.changed();
  await makeLeaves(tx, group);
  const { rows } = await tx.coordinator.query(
    'SELECT shard_id FROM pgherd.shard WHERE relation = $1 AND shard_index = $2',
    [table.oid, group.shards.length].map(String),
  );
  return Number(rows[0]![0]);
}

async function newBounds(tx: HerdTransaction, table: DistributedTable, group: ColocationGroup, text: string) {
  const { method } = group;
  assert(table.distribution.kind === 'distributed' && (method === 'range' || method === 'list'), 'RANGE or LIST');
  const [shape] = await describeTables(tx.coordinator, [table.oid]);
  const attnums = table.distribution.keys.map((key) => key.attnum);
  const key = await keyOfColumns(tx.coordinator, shape!, attnums, method);
  const bounds = await withPinnedSettings(tx.coordinator, () => readShardBounds(tx.coordinator, text, method, key));
  if (bounds.length === 0) throw unsupported('PH037', 'no bounds are given');
  await checkBoundsApart(tx.coordinator, [...group.shards.map((shard) => shard.bounds), ...bounds], method, key);
  return bounds;
}

async function chooseNode(
  tx: HerdTransaction,
  group: ColocationGroup,
  nodes: readonly NodeEntry[],
  wanted: AddShardArguments['node'],
  index: number,
): Promise<NodeEntry> {
  if (wanted === null) {
    const { rows } = await tx.coordinator.query(
      'SELECT node_id, count(*) FROM pgherd.group_shard WHERE colocation_id = $1 GROUP BY 1',
      [String(group.id)],
    );
    const load = (node: NodeEntry) => Number(rows.find(([id]) => Number(id) === node.id)?.[1] ?? 0);
    return [...nodes].sort((a, b) => load(a) - load(b) || a.id - b.id)[0]!;
  }
  const address = wanted.port === null ? null : tx.resolveAddress(wanted.name, wanted.port);
  const found = nodes.find(
    (node) =>
      (node.name === wanted.name || node.host === (address?.host ?? wanted.name)) &&
      (address === null || node.port === address.port),
  );
  if (found) return found;
  throw pgError('undefinedObject', `there is no active node "${wanted.name}" for shard ${index}`);
}

/** On all tables of the group: the new leaves, and DEFAULT leaves that no longer take their values. */
async function makeLeaves(tx: HerdTransaction, before: ColocationGroup): Promise<void> {
  const snapshot = await tx.snapshot();
  const group = snapshot.groups.get(before.id)!;
  const tables = [...snapshot.relationsByOid.values()].flatMap(({ distributed }) =>
    distributed?.distribution.kind === 'distributed' && distributed.distribution.group.id === group.id
      ? [distributed]
      : [],
  );
  const shapes = await describeTables(
    tx.coordinator,
    tables.map((table) => table.oid),
  );
  // Foreign keys go from later tables to earlier ones: a parent's leaf must be there first.
  for (const shape of shapes) {
    const table = tables.find((candidate) => candidate.oid === shape.oid)!;
    const schema = await schemaOf(tx.coordinator, shape);
    for (const shard of group.shards) {
      const added = shard.index >= before.shards.length;
      if (!added && shard.bounds.kind !== 'default') continue;
      const onNode = nodeTable(shape, schema, table, shard.nodeId);
      const drop = `ALTER TABLE ${leafName(onNode, shard)} DROP CONSTRAINT IF EXISTS ${defaultCheckName}`;
      const statements = added ? addLeafSql(onNode, shard) : [drop, ...defaultCheckSql(onNode, shard)];
      await runAll(await tx.node(shard.nodeId), statements);
    }
  }
}
