import type { DistributedTable, NodeId } from '../catalog/snapshot.ts';
import type { PlanContext } from './context.ts';
import type { FactsByRelation } from './facts.ts';
import type { Block, Model, RelationItem } from './model.ts';
import type { Site } from './plan.ts';

/** An UPDATE, DELETE or MERGE of a table that is not the coordinator's alone. */
export interface ChangeQuestion {
  readonly model: Model;
  readonly facts: FactsByRelation;
  readonly context: PlanContext;
  readonly target: RelationItem;
  readonly table: DistributedTable;
  /** Why it is not one shard's. */
  readonly reason: string;
}

const verbs: Readonly<Record<string, string>> = { update: 'UPDATE', delete: 'DELETE', merge: 'MERGE' };

export function verbOf(block: Block): string {
  return verbs[block.kind] ?? 'a change';
}

/** Every server with a copy of reference tables, the coordinator first. */
export function allCopies(context: PlanContext): Site[] {
  return ['coordinator', ...copySites(context)];
}

/** The nodes that hold copies of reference tables: all of them. The coordinator's own copy goes without saying. */
export function copySites({ snapshot }: PlanContext): NodeId[] {
  return snapshot.nodes.map(({ id }) => id);
}
