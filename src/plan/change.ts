import type { DistributedTable } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { isAligned, visible } from './alignment.ts';
import { changesKey, checkAssignments } from './assignment.ts';
import { hasDefaults, mergeActions } from './change-checks.ts';
import { type ChangeQuestion, copySites, verbOf } from './change-question.ts';
import { planRowChange } from './change-rows.ts';
import type { PlanContext } from './context.ts';
import type { Fact, FactsByRelation } from './facts.ts';
import { nodeObstacle, spreadObstacle, systemColumnsOf } from './functions.ts';
import { isWrittenBefore, type MovedRelations, moveRelations } from './gather.ts';
import { planMerge } from './merge-rows.ts';
import { type Block, isChange, isInside, leavesOf, type Model, type RelationItem } from './model.ts';
import type { ChangeStep, Motion, Plan, SqlTemplate } from './plan.ts';
import { wholeRow } from './resolve.ts';
import { type ConstantPool, createConstantPool, rewriteStatement } from './rewrite.ts';
import { columnPair, nodesOf, shardsOf } from './shards.ts';
import { placeOnNode } from './single-shard.ts';
import { allBlocks, type Evaluated, evaluateSublink, isDeterministic } from './sublink.ts';

/** The same, once it is clear what each server can do of it by itself. */
interface Change extends ChangeQuestion {
  readonly constants: ConstantPool;
  readonly motions: Motion[];
  /** Subqueries that have become constants. */
  readonly evaluated: readonly Evaluated[];
  /** Rows of other relations that are sent to the servers. */
  readonly moved: MovedRelations;
}

/** Why the servers can't carry out a change by themselves. */
interface NotPushed {
  readonly obstacle: string;
}

/**
 * UPDATE, DELETE and MERGE of a distributed table on the nodes that may hold rows, or of a reference table on all copies. First as
 * written, with small results and rows of other relations sent along; where that would not give what one server gives, the coordinator
 * finds the rows.
 */
export function planChange(model: Model, facts: FactsByRelation, context: PlanContext, reason: string): Plan {
  const { root } = model;
  const target = model.relations.find((item) => item.isTarget && item.block === root);
  assert(target?.table, 'a change has a target table');
  if (model.blocks.some((block) => block.currentOf)) throw unsupported('PH007', 'WHERE CURRENT OF over several nodes');
  if (model.blocks.some((block) => block !== root && isChange(block))) {
    throw unsupported('PH002', 'a data-modifying CTE over several shards');
  }
  const question: ChangeQuestion = { model, facts, context, target, table: target.table, reason };
  checkTargets(question);
  const travels = context.force !== 'find rows' || root.kind === 'merge';
  const pushed = travels ? pushDown(question) : { obstacle: 'rows of other tables are too many to travel' };
  if (!('obstacle' in pushed)) return pushed;
  return root.kind === 'merge' ? planMerge(question, pushed.obstacle) : planRowChange(question, pushed.obstacle);
}

/** The statement as it stands, on each server that may hold rows. */
function pushDown(question: ChangeQuestion): Plan | NotPushed {
  const { model, facts, context, target, table, reason } = question;
  const early = rowObstacle(question);
  if (early) return { obstacle: early };
  const change = prepare(question);
  if ('obstacle' in change) return change;
  const { constants, motions } = change;
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

/** What asks for the rows themselves to be looked at. */
function rowObstacle({ model, target, table, facts, context }: ChangeQuestion): string | null {
  const { root } = model;
  // Its rows are found as they were, before they are changed.
  const early = model.relations.find((item) => isWrittenBefore(model, item.relation));
  if (early) return `${early.name} has been changed before`;
  if (root.kind === 'update') {
    if (changesKey(root.node.targetList ?? [], target, facts.get(target) ?? [])) {
      return 'the distribution column is assigned';
    }
    if (target.role === 'reference' && root.from.length > 1 && mayMatchTwice(model, facts, context)) {
      return `several rows may match one of the reference table ${target.name}`;
    }
  }
  if (root.kind !== 'merge') return null;
  const inserts = mergeActions(root.node.mergeWhenClauses).filter(({ commandType }) => commandType === 'CMD_INSERT');
  if (target.role === 'distributed' && inserts.length > 0) return 'MERGE that inserts rows into several shards';
  if (inserts.some((action) => !hasDefaults(action, table))) {
    throw unsupported('PH002', `MERGE that inserts rows with defaults into the reference table ${target.name}`);
  }
  return null;
}

function mayMatchTwice({ root, relations, blocks }: Model, facts: FactsByRelation, context: PlanContext): boolean {
  const loose = relations.some(
    (item) => item.block === root && !item.isTarget && !isUniqueMatch(item, facts.get(item) ?? [], context),
  );
  const others = root.from.some((item) => item.kind !== 'relation');
  return (
    loose ||
    others ||
    blocks.some((block) => root.children.some((child) => child.via === 'from' && child.block === block))
  );
}

function prepare(question: ChangeQuestion): Change | NotPushed {
  const { model, facts, context, target } = question;
  const constants = createConstantPool();
  const motions: Motion[] = [];
  const request = { model, facts, context, constants, motions };
  const evaluated = evaluateStrangers(request, target);
  if (!Array.isArray(evaluated)) return evaluated as NotPushed;
  const isLeft = (item: RelationItem) =>
    isStranger(item, target, facts, context) && !evaluated.some((each) => isInside(item.block, each.block));
  const left = model.relations.filter(isLeft);
  const blocks = model.blocks.filter((block) => !evaluated.some((each) => isInside(block, each.block)));
  const obstacle = functionObstacle(question, blocks) ?? shippingObstacle(question, left);
  if (obstacle) return { obstacle };
  const moved = moveRelations(request, left, true);
  return { ...question, constants, motions, evaluated, moved };
}

function isStranger(item: RelationItem, target: RelationItem, facts: FactsByRelation, context: PlanContext): boolean {
  return !item.isTarget && !isAtHand(item, target, facts, context);
}

/** Subqueries that read what the target's servers don't have are evaluated beforehand, if they can be. */
function evaluateStrangers(
  request: Parameters<typeof evaluateSublink>[1],
  target: RelationItem,
): Evaluated[] | NotPushed {
  const { model, facts, context } = request;
  const evaluated: Evaluated[] = [];
  const strangers = model.relations.filter((item) => isStranger(item, target, facts, context));
  for (const block of allBlocks(model.root)) {
    for (const child of block.children) {
      if (child.via !== 'sublink' || evaluated.some((each) => isInside(child.block, each.block))) continue;
      const concerned = strangers.some((item) => isInside(item.block, child.block));
      const uncertain = target.role === 'reference' && !isDeterministic(child.block, context);
      if (!concerned && !uncertain) continue;
      const constant = evaluateSublink(child, request);
      if (constant) evaluated.push(constant);
      else if (uncertain) return { obstacle: 'a subquery that may differ between the copies of a reference table' };
    }
  }
  return evaluated;
}

/** Why rows of these relations can't be sent along: what is computed from them must be the same on every server. */
function shippingObstacle(
  { model, target, table, context }: ChangeQuestion,
  left: readonly RelationItem[],
): string | null {
  const [first] = left;
  if (!first) return null;
  const elsewhere = (item: RelationItem) => `rows of ${item.name}, which are elsewhere`;
  const unknown = left.find(({ role, relation }) => role === 'virtual' || !relation || !isTable(relation.kind));
  if (unknown) return elsewhere(unknown);
  const larger = left.find((item) => isLarger(item.table, table));
  if (larger) return `${larger.name} has more rows than ${target.name}`;
  const rows = model.blocks.flatMap((block) => block.columnRefs.map((ref) => wholeRow(ref, block)));
  const whole = left.find((item) => item.role === 'local' && rows.includes(item));
  if (whole) return `whole rows of ${whole.name}, whose type nodes don't have`;
  const usesCte = (block: Block) =>
    block.from.flatMap(leavesOf).some((leaf) => leaf.kind === 'other' && leaf.what === 'cte');
  const isConcerned = (block: Block) => usesCte(block) || left.some((item) => isInside(item.block, block));
  const loose = model.blocks.find(
    (block) => block !== model.root && isConcerned(block) && !isDeterministic(block, context),
  );
  return loose ? `a subquery that may differ between servers, on ${elsewhere(first)}` : null;
}

function isTable(kind: string): boolean {
  return kind === 'table' || kind === 'view' || kind === 'materialized view' || kind === 'foreign table';
}

const shippedRows = 100_000;

function isLarger(other: DistributedTable | null, table: DistributedTable): boolean {
  return other !== null && other.estimatedRows > Math.max(shippedRows, table.estimatedRows);
}

/** Its rows that matter are where the target's rows are: a reference table, or one joined with the target on all key columns. */
function isAtHand(item: RelationItem, target: RelationItem, facts: FactsByRelation, context: PlanContext): boolean {
  if (item.role === 'reference') return true;
  if (target.role !== 'distributed' || item.role !== 'distributed') return false;
  return isAligned(item, target, facts.get(item) ?? [], context);
}

function functionObstacle({ model, context, target }: ChangeQuestion, blocks: readonly Block[]): string | null {
  const isReference = target.role === 'reference';
  const spread = isReference ? spreadObstacle(blocks, context) : nodeObstacle(blocks, context);
  if (spread) {
    const why = isReference ? 'the copies of a reference table must stay equal' : 'the change runs on several nodes';
    return `${verbOf(model.root)} of ${target.name}: ${why}, but ${spread}`;
  }
  const [address] = blocks.flatMap(systemColumnsOf);
  if (address) throw unsupported('PH007', `${address} in a change over several nodes`);
  return null;
}

function checkTargets({ model, target, facts }: ChangeQuestion): void {
  const { root } = model;
  if (root.kind === 'update') checkAssignments(root.node.targetList ?? [], target, facts.get(target) ?? []);
  if (root.kind !== 'merge') return;
  for (const action of mergeActions(root.node.mergeWhenClauses)) {
    if (action.commandType === 'CMD_UPDATE') checkAssignments(action.targets, target, facts.get(target) ?? []);
  }
}

function changeShards(change: Change, sites: readonly number[]): ChangeStep {
  const { model, table } = change;
  const { root } = model;
  assert(root.kind === 'update' || root.kind === 'delete' || root.kind === 'merge', 'a change of rows');
  const sql = onServers(change);
  const command = root.kind === 'update' ? 'UPDATE' : root.kind === 'delete' ? 'DELETE' : 'MERGE';
  return { kind: 'change shards', table, command, sites, sql };
}

/** The statement with tables as nodes know them, constants in the place of evaluated subqueries, and rows that are sent along. */
function onServers({ model, context, constants, evaluated, moved }: Change): SqlTemplate {
  const own = evaluated.map(({ edit }) => edit).map((edit) => ({ source: model.source, edit }));
  const replace = (item: RelationItem) => moved.replacements.get(item) ?? placeOnNode(item, null, context);
  return rewriteStatement({ model, context, replace, constants, edits: [...own, ...moved.edits] });
}

function changeCopies(change: Change): ChangeStep {
  const { table, context } = change;
  return { kind: 'change copies', table, sites: copySites(context), sql: onServers(change) };
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
