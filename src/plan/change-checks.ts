import type { Node } from '@pgsql/types';
import type { DistributedTable, GlobalIndex } from '../catalog/snapshot.ts';
import { assignedColumns, changesKey, checkAssignments, checkConflictAction } from './assignment.ts';
import type { FactsByRelation } from './facts.ts';
import { mindsIndexes } from './insert-conflict.ts';
import { insertShape } from './insert-shape.ts';
import { insertObstacle } from './insert-values.ts';
import { isChange, type Model, type RelationItem } from './model.ts';

/**
 * Why the changes in a statement can't be passed to one node as they stand; null when they can. Raises what no plan could carry
 * out.
 */
export function changeObstacle(model: Model, facts: FactsByRelation): string | null {
  for (const item of model.relations) {
    if (!item.isTarget) continue;
    if (item.role !== 'distributed') return `${item.name} is changed on all its copies`;
    const obstacle = targetObstacle(item, facts);
    if (obstacle) return obstacle;
  }
  return null;
}

function targetObstacle(item: RelationItem, facts: FactsByRelation): string | null {
  const { block, table } = item;
  if (!table || !isChange(block)) return 'no table is changed';
  if (block.kind === 'insert') {
    const obstacle = insertObstacle(insertShape(item));
    if (!obstacle) checkConflictAction(item);
    return obstacle ?? (mindsIndexes(item) ? 'ON CONFLICT goes by a global unique index' : null);
  }
  if (block.kind === 'update') {
    const targets = block.node.targetList ?? [];
    checkAssignments(targets, item, facts.get(item) ?? []);
    return changesKey(targets, item, facts.get(item) ?? []) ? 'the distribution column is assigned' : null;
  }
  if (block.kind === 'delete') return null;
  return mergeObstacle(item, facts);
}

function mergeObstacle(item: RelationItem, facts: FactsByRelation): string | null {
  const { block, table } = item;
  if (block.kind !== 'merge' || !table) return null;
  for (const action of mergeActions(block.node.mergeWhenClauses)) {
    if (action.commandType === 'CMD_UPDATE') checkAssignments(action.targets, item, facts.get(item) ?? []);
    if (action.commandType !== 'CMD_INSERT') continue;
    if (!hasDefaults(action, table)) return 'MERGE inserts rows with defaults that nodes do not have';
  }
  return null;
}

/** Whether nodes can complete the rows that an INSERT of a MERGE adds. */
export function hasDefaults(action: MergeAction, table: DistributedTable): boolean {
  const { targets, values } = action;
  const named =
    targets.length > 0 ? assignedColumns(targets) : table.columns.slice(0, values.length).map(({ name }) => name);
  return table.columns.every(({ name, default: { kind } }) => {
    if (kind === 'none' || kind === 'constant' || kind === 'generated') return true;
    const value = values[named.indexOf(name)];
    return value !== undefined && !('SetToDefault' in value);
  });
}

export interface MergeAction {
  readonly commandType: string;
  readonly targets: readonly Node[];
  readonly values: readonly Node[];
}

export function mergeActions(clauses: readonly Node[] | undefined): MergeAction[] {
  return (clauses ?? []).flatMap((node) => {
    if (!('MergeWhenClause' in node)) return [];
    const { commandType = '', targetList = [], values = [] } = node.MergeWhenClause;
    return [{ commandType, targets: targetList, values }];
  });
}

export function globalIndexes(table: DistributedTable): readonly GlobalIndex[] {
  return table.distribution.kind === 'distributed' ? table.distribution.globalIndexes : [];
}

export function isOverExpression({ expressions }: GlobalIndex): boolean {
  return expressions.some((each) => each !== null);
}
