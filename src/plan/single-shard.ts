import { shardSchema } from '../catalog/snapshot.ts';
import { quoteQualified } from '../sql/quote.ts';
import type { PlanContext } from './context.ts';
import type { FactsByRelation } from './facts.ts';
import { nodeObstacle } from './functions.ts';
import { insertShards } from './insert-values.ts';
import type { Model, RelationItem } from './model.ts';
import type { SqlTemplate } from './plan.ts';
import { createConstantPool, type Replacement, rewriteStatement } from './rewrite.ts';
import { type ShardSet, shardsOf } from './shards.ts';
import { stagedParts } from './staged-rows.ts';

export interface ShardStatement {
  readonly nodeId: number;
  readonly shard: number;
  readonly sql: SqlTemplate;
  readonly constants: ReturnType<typeof createConstantPool>['list'];
  readonly reason: string;
  readonly dependsOnParameters: boolean;
}

/** Why a statement doesn't go to one shard. */
export interface NotOneShard {
  readonly reason: string;
  /** With other parameter values it might. */
  readonly dependsOnParameters: boolean;
}

/**
 * The whole statement goes to one node, naming leaves, when every distributed relation in it is pinned to the same shard of the
 * same co-location group, the rest are reference tables, and nothing in it belongs to the coordinator.
 */
export function planSingleShard(
  model: Model,
  facts: FactsByRelation,
  context: PlanContext,
): ShardStatement | NotOneShard {
  const pinned = findShard(model, facts, context);
  if ('reason' in pinned) return pinned;
  const refused = (reason: string): NotOneShard => ({ reason, dependsOnParameters: pinned.dependsOnParameters });
  const stranger = model.relations.find(({ role }) => role === 'local' || role === 'virtual');
  if (stranger) return refused(`${stranger.name} is on the coordinator only`);
  const obstacle = nodeObstacle(model.blocks, context);
  if (obstacle) return refused(obstacle);
  // Outside a transaction block the node's now() is as good as the coordinator's, and saves a round trip.
  const constants = context.inTransaction ? createConstantPool() : null;
  const replace = (item: RelationItem) => placeOnNode(item, pinned.shard, context);
  return {
    ...pinned,
    sql: rewriteStatement({ model, context, replace, constants }),
    constants: constants?.list ?? [],
    reason: `all pinned to shard ${pinned.shard} of co-location group ${pinned.groupId}`,
  };
}

/** A relation as a node knows it: the leaf of one shard, or the table itself. */
export function placeOnNode(item: RelationItem, shard: number | null, context: PlanContext): Replacement | null {
  const staged = stagedParts(item.relation, context);
  if (staged) return { parts: staged, needsAlias: true };
  const { table } = item;
  if (!table) return null;
  const schema = shard !== null && item.role === 'distributed' ? shardSchema(table, shard) : table.schema;
  return { parts: [quoteQualified(schema, table.name)], needsAlias: true, keepsSample: true };
}

interface Pinned {
  readonly shard: number;
  readonly nodeId: number;
  readonly groupId: number;
  readonly dependsOnParameters: boolean;
}

function findShard(model: Model, facts: FactsByRelation, context: PlanContext): Pinned | NotOneShard {
  const items = model.relations.filter(({ role }) => role === 'distributed');
  const group = groupOf(items[0]);
  const sets = items.map((item): ShardSet => shardsOfUse(item, facts, context));
  const dependsOnParameters = sets.some((set) => set.dependsOnParameters);
  const refused = (reason: string): NotOneShard => ({ reason, dependsOnParameters });
  if (!group || items.some((item) => groupOf(item)?.id !== group.id))
    return refused('tables of several co-location groups');
  const candidates = new Set<number>();
  for (const [i, { indexes }] of sets.entries()) {
    if (indexes === null) return refused(`${items[i]!.name} is not pinned to a shard`);
    for (const index of indexes) candidates.add(index);
  }
  if (candidates.size > 1) return refused('rows of several shards');
  // No shard takes the values: any of them rightly finds nothing.
  const shard = [...candidates][0] ?? 0;
  const slot = group.shards.find(({ index }) => index === shard);
  return slot ? { shard, nodeId: slot.nodeId, groupId: group.id, dependsOnParameters } : refused('no such shard');
}

function groupOf(item: RelationItem | undefined) {
  const distribution = item?.table?.distribution;
  return distribution?.kind === 'distributed' ? distribution.group : undefined;
}

/** An INSERT's target is pinned by its rows, any other relation by its facts. */
function shardsOfUse(item: RelationItem, facts: FactsByRelation, context: PlanContext): ShardSet {
  if (item.isTarget && item.block.kind === 'insert') return insertShards(item, context);
  return shardsOf(item, facts.get(item) ?? [], context);
}
