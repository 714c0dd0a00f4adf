import type {
  CatalogSnapshot,
  ColocationGroup,
  DistributionMethod,
  NodeEntry,
  NodeId,
  ShardBounds,
} from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { arrayText } from './array-text.ts';
import type { DistributionKey } from './distribution-key.ts';
import type { HerdTransaction } from './herd.ts';
import { ownerOf } from './owner.ts';

export interface GroupWish {
  readonly method: DistributionMethod;
  readonly key: DistributionKey;
  readonly bounds: readonly ShardBounds[];
  /** `none`: a group of its own, which no other table joins by itself. */
  readonly colocateWith: 'default' | 'none' | ColocationGroup;
  /** Where its shards are to be; null: on all nodes that take new ones. Such a group is joined by tables of the same wish only. */
  readonly nodes: readonly NodeEntry[] | null;
}

export const defaultShardCount = 32;
/** Beyond, planning over all leaves takes long and many locks (DESIGN 2). */
const warnLeavesPerNode = 64;
const maxLeavesPerNode = 128;

export function hashBounds(shardCount: number): ShardBounds[] {
  return Array.from({ length: shardCount }, (_, remainder) => ({ kind: 'hash', modulus: shardCount, remainder }));
}

/** Finds the co-location group that a table belongs to, or makes it. Gives its id. */
export async function joinGroup(tx: HerdTransaction, snapshot: CatalogSnapshot, wish: GroupWish): Promise<number> {
  const { colocateWith } = wish;
  if (typeof colocateWith === 'object') {
    checkFits(colocateWith, wish);
    return colocateWith.id;
  }
  if (colocateWith === 'default') {
    const joinable = await joinableGroups(tx.coordinator);
    const found = [...snapshot.groups.values()].find(
      (group) => (wish.nodes ? isOn(group, wish.nodes) : joinable.has(group.id)) && fits(group, wish),
    );
    if (found) return found.id;
  }
  return createGroup(tx, snapshot, wish, colocateWith === 'default' && wish.nodes === null);
}

function isOn({ shards }: ColocationGroup, nodes: readonly NodeEntry[]): boolean {
  return shards.every((shard) => shard.nodeId === nodes[shard.index % nodes.length]!.id);
}

function fits(group: ColocationGroup, wish: GroupWish): boolean {
  return (
    group.method === wish.method &&
    group.families.join() === wish.key.families.join() &&
    sameBounds(
      group.shards.map((shard) => shard.bounds),
      wish.bounds,
    )
  );
}

export function sameBounds(a: readonly ShardBounds[], b: readonly ShardBounds[]): boolean {
  const text = (bounds: readonly ShardBounds[]) =>
    bounds.map((bound) => JSON.stringify(bound, Object.keys(bound).sort()));
  return text(a).join() === text(b).join();
}

function checkFits(group: ColocationGroup, wish: GroupWish): void {
  const problem =
    group.method !== wish.method
      ? `it is distributed by ${group.method.toUpperCase()}`
      : group.families.join() !== wish.key.families.join()
        ? `its distribution column is of ${group.families.join(', ')}, not ${wish.key.families.join(', ')}`
        : null;
  if (problem) throw pgError('invalidParameterValue', `cannot co-locate with that table: ${problem}`);
}

async function joinableGroups(runner: SqlRunner): Promise<Set<number>> {
  const { rows } = await runner.query('SELECT colocation_id FROM pgherd.colocation_group WHERE joinable ORDER BY 1');
  return new Set(rows.map(([id]) => Number(id)));
}

async function createGroup(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  wish: GroupWish,
  joinable: boolean,
): Promise<number> {
  const nodes = wish.nodes ?? (await shardNodes(tx.coordinator, snapshot));
  checkLeafCount(tx, wish.bounds.length, nodes.length);
  const { rows } = await ownerOf(tx.coordinator).query(
    `INSERT INTO pgherd.colocation_group (method, shard_count, key_families, joinable) VALUES ($1, $2, $3, $4)
    RETURNING colocation_id`,
    [wish.method, String(wish.bounds.length), arrayText(wish.key.families), joinable ? 't' : 'f'],
  );
  const id = Number(rows[0]![0]);
  for (const [index, bounds] of wish.bounds.entries()) {
    await addGroupShard(tx.coordinator, id, index, nodes[index % nodes.length]!.id, bounds);
  }
  return id;
}

export async function addGroupShard(
  runner: SqlRunner,
  groupId: number,
  index: number,
  node: NodeId,
  bounds: ShardBounds,
): Promise<void> {
  await ownerOf(runner).query('INSERT INTO pgherd.group_shard VALUES ($1, $2, $3, $4)', [
    ...[groupId, index, node].map(String),
    JSON.stringify(bounds),
  ]);
}

/** Active nodes that take new shards. */
export async function shardNodes(runner: SqlRunner, snapshot: CatalogSnapshot): Promise<NodeEntry[]> {
  const { rows } = await runner.query('SELECT node_id FROM pgherd.node WHERE active AND should_have_shards');
  const ids = new Set(rows.map(([id]) => Number(id)));
  const nodes = snapshot.nodes.filter((node) => ids.has(node.id));
  if (nodes.length > 0) return nodes;
  throw pgError('objectNotInPrerequisiteState', 'there are no nodes that could hold shards', {
    hint: "Add one: SELECT citus_add_node('host', 5432).",
  });
}

function checkLeafCount(tx: HerdTransaction, shards: number, nodes: number): void {
  const perNode = Math.ceil(shards / nodes);
  if (perNode > maxLeavesPerNode) {
    throw pgError('configurationLimitExceeded', `${shards} shards over ${nodes} nodes are ${perNode} a node`, {
      detail: `At most ${maxLeavesPerNode} shards of a table may be on one node.`,
      hint: 'Use a smaller shard_count, or add nodes first.',
    });
  }
  if (perNode > warnLeavesPerNode) {
    const message = `${perNode} shards of a table on one node slow the planning of statements over all shards`;
    tx.notice({ severity: 'WARNING', code: '01000', message });
  }
}
