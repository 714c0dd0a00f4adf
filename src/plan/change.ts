import type { Node } from '@pgsql/types';
import type { DistributedTable, NodeId } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { isAligned, visible } from './alignment.ts';
import { assignedColumns, checkAssignments } from './assignment.ts';
import { globalIndexes, mergeActions, touchedIndex } from './change-checks.ts';
import type { PlanContext } from './context.ts';
import type { PlanEdit } from './edits.ts';
import type { Fact, FactsByRelation } from './facts.ts';
import { nodeObstacle, spreadObstacle, systemColumnsOf } from './functions.ts';
import { type Block, isChange, isInside, type Model, type RelationItem } from './model.ts';
import type { ChangeStep, Motion, Plan, SqlTemplate } from './plan.ts';
import { type ConstantPool, createConstantPool, rewriteStatement } from './rewrite.ts';
import { columnPair, nodesOf, shardsOf } from './shards.ts';
import { placeOnNode } from './single-shard.ts';
import { whereExtent } from './statement-text.ts';
import { allBlocks, type Evaluated, evaluateSublink, isDeterministic } from './sublink.ts';

/** An UPDATE, DELETE or MERGE, once it is clear what each server can do of it by itself. */
interface Change {
  readonly model: Model;
  readonly facts: FactsByRelation;
  readonly context: PlanContext;
  readonly constants: ConstantPool;
  readonly motions: readonly Motion[];
  readonly target: RelationItem;
  readonly table: DistributedTable;
  /** Subqueries that have become constants. */
  readonly evaluated: readonly Evaluated[];
  /** Blocks that run where the rows are. */
  readonly blocks: readonly Block[];
}

/** UPDATE, DELETE and MERGE of a distributed table on the nodes that may hold rows, or of a reference table on all copies. */
export function planChange(model: Model, facts: FactsByRelation, context: PlanContext, reason: string): Plan {
  const change = prepare(model, facts, context);
  const { target, table, constants, motions } = change;
  const shards = shardsOf(target, facts.get(target) ?? [], context);
  const final =
    target.role === 'reference' ? changeCopies(change) : changeShards(change, nodesOf(table, shards.indexes));
  return {
    rung: final.kind === 'change copies' ? 'all copies' : 'rows to shards',
    ...{ reason, constants: constants.list, motions, final, writes: true },
    returnsRows: 'returningClause' in model.root.node && model.root.node.returningClause !== undefined,
    valueIndependent: !shards.dependsOnParameters && motions.length === 0,
  };
}

function prepare(model: Model, facts: FactsByRelation, context: PlanContext): Change {
  const { root } = model;
  const target = model.relations.find((item) => item.isTarget && item.block === root);
  assert(target?.table, 'a change has a target table');
  if (model.blocks.some((block) => block.currentOf)) throw unsupported('PH007', 'WHERE CURRENT OF over several nodes');
  if (model.blocks.some((block) => block !== root && isChange(block))) {
    throw unsupported('PH002', 'a data-modifying CTE over several shards');
  }
  const constants = createConstantPool();
  const motions: Motion[] = [];
  const evaluated = evaluateStrangers({ model, facts, context, constants, motions }, target);
  const blocks = model.blocks.filter((block) => !evaluated.some((each) => isInside(block, each.block)));
  const change: Change = { model, facts, context, constants, motions, target, table: target.table, evaluated, blocks };
  checkFunctions(change);
  checkTargets(change);
  return change;
}

/** Subqueries that read what the target's servers don't have are evaluated beforehand, or the statement is refused. */
function evaluateStrangers(request: Parameters<typeof evaluateSublink>[1], target: RelationItem): Evaluated[] {
  const { model } = request;
  const isStranger = (item: RelationItem) => !item.isTarget && !isAtHand(item, target, request.facts, request.context);
  const evaluated: Evaluated[] = [];
  const strangers = model.relations.filter(isStranger);
  for (const block of allBlocks(model.root)) {
    for (const child of block.children) {
      if (child.via !== 'sublink' || evaluated.some((each) => isInside(child.block, each.block))) continue;
      const concerned = strangers.some((item) => isInside(item.block, child.block));
      const uncertain = target.role === 'reference' && !isDeterministic(child.block, request.context);
      if (!concerned && !uncertain) continue;
      const constant = evaluateSublink(child, request);
      if (constant) evaluated.push(constant);
      else if (uncertain)
        throw unsupported('PH002', 'a subquery that may differ between the copies of a reference table');
    }
  }
  const left = strangers.find((item) => !evaluated.some((each) => isInside(item.block, each.block)));
  if (left)
    throw unsupported(
      'PH002',
      `${verbs[model.root.kind] ?? 'a change'} of ${target.name} by rows of ${left.name}, which are elsewhere`,
    );
  return evaluated;
}

const verbs: Readonly<Record<string, string>> = { update: 'UPDATE', delete: 'DELETE', merge: 'MERGE' };

/** Its rows that matter are where the target's rows are: a reference table, or one joined with the target on all key columns. */
function isAtHand(item: RelationItem, target: RelationItem, facts: FactsByRelation, context: PlanContext): boolean {
  if (item.role === 'reference') return true;
  if (target.role !== 'distributed' || item.role !== 'distributed') return false;
  return isAligned(item, target, facts.get(item) ?? [], context);
}

function checkFunctions({ model, blocks, context, target }: Change): void {
  const spread = target.role === 'reference' ? spreadObstacle(blocks, context) : nodeObstacle(blocks, context);
  if (spread) {
    const why =
      target.role === 'reference'
        ? 'the copies of a reference table must stay equal'
        : 'the change runs on several nodes';
    throw unsupported('PH002', `${verbs[model.root.kind]} of ${target.name}: ${why}, but ${spread}`);
  }
  const [address] = blocks.flatMap(systemColumnsOf);
  if (address) throw unsupported('PH007', `${address} in a change over several nodes`);
}

function checkTargets({ model, target, table, facts }: Change): void {
  const { root } = model;
  if (root.kind === 'update') checkAssignments(root.node.targetList ?? [], target, facts.get(target) ?? []);
  if (root.kind !== 'merge') return;
  for (const action of mergeActions(root.node.mergeWhenClauses)) {
    if (action.commandType === 'CMD_INSERT') throw unsupported('PH002', 'MERGE that inserts rows into several shards');
    if (action.commandType === 'CMD_UPDATE') checkAssignments(action.targets, target, facts.get(target) ?? []);
  }
  if (globalIndexes(table).length > 0) throw unsupported('PH002', 'MERGE into a table with a global unique index');
}

function changeShards(change: Change, sites: readonly number[]): ChangeStep {
  const { model, target, table } = change;
  const { root } = model;
  assert(root.kind === 'update' || root.kind === 'delete' || root.kind === 'merge', 'a change of rows');
  const assigned = assignedColumns(setTargets(root));
  const kept = root.kind === 'delete' ? globalIndexes(table).length > 0 : touchedIndex(table, assigned);
  if (kept && root.kind === 'update' && (root.from.length > 1 || root.node.withClause)) {
    throw unsupported('PH002', `UPDATE … FROM of a column of ${target.name} that has a global unique index`);
  }
  const sql = onServers(change, []);
  const command = root.kind === 'update' ? 'UPDATE' : root.kind === 'delete' ? 'DELETE' : 'MERGE';
  const where = root.kind === 'merge' ? ['true'] : whereOf(change);
  return { kind: 'change shards', table, command, sites, sql, assigned, alias: target.name, where };
}

function setTargets(root: Block): readonly Node[] {
  if (root.kind === 'update') return root.node.targetList ?? [];
  return root.kind === 'merge' ? mergeActions(root.node.mergeWhenClauses).flatMap((action) => action.targets) : [];
}

/** The statement with tables as nodes know them and constants in the place of evaluated subqueries. */
function onServers({ model, context, constants, evaluated }: Change, cuts: readonly PlanEdit[]): SqlTemplate {
  const edits = [...evaluated.map(({ edit }) => edit), ...cuts].map((edit) => ({ source: model.source, edit }));
  return rewriteStatement({ model, context, replace: (item) => placeOnNode(item, null), constants, edits });
}

function whereOf(change: Change): SqlTemplate {
  const { source } = change.model;
  const extent = whereExtent(source);
  if (!extent) return ['true'];
  const cuts = [
    { start: 0, end: extent.start, parts: [] },
    { start: extent.end, end: source.bytes.length, parts: [] },
  ];
  return onServers(change, cuts);
}

function changeCopies(change: Change): ChangeStep {
  const { model, table, target, facts, context } = change;
  const { root } = model;
  if (root.kind === 'merge') throw unsupported('PH002', 'MERGE into a reference table');
  if (root.kind === 'update' && root.from.length > 1) {
    const loose = model.relations.find(
      (item) => item.block === root && !item.isTarget && !isUniqueMatch(item, facts.get(item) ?? [], context),
    );
    if (
      loose ||
      model.blocks.some((block) => root.children.some((child) => child.via === 'from' && child.block === block))
    ) {
      throw unsupported('PH002', `UPDATE … FROM of the reference table ${target.name}: several rows may match one`);
    }
  }
  return { kind: 'change copies', table, sites: copySites(context), sql: onServers(change, []) };
}

/** The nodes that hold copies of reference tables: all of them. The coordinator's own copy goes without saying. */
export function copySites({ snapshot }: PlanContext): NodeId[] {
  return snapshot.nodes.map(({ id }) => id);
}

/** At most one row of it can match: its primary key is compared with columns of others. */
function isUniqueMatch(item: RelationItem, facts: readonly Fact[], context: PlanContext): boolean {
  const key = item.table?.primaryKey ?? [];
  const matched = new Set<string>();
  for (const fact of facts) {
    const pair = columnPair(fact, context);
    if (!pair) continue;
    for (const [bound, other] of [pair, [pair[1], pair[0]] as const]) {
      if (bound.item === item && other.item !== item) matched.add(bound.column);
    }
  }
  return key.length > 0 && key.every((name) => matched.has(visible(item, name)));
}
