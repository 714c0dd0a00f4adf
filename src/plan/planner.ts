import type { Node } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import type { RawStatement } from '../sql/parse.ts';
import { createSource, splice, textBetween } from '../sql/source.ts';
import { analyze } from './analyze.ts';
import { copyBeside, planBeside } from './beside.ts';
import { planChange } from './change.ts';
import { changeObstacle } from './change-checks.ts';
import { splitChanges } from './change-first.ts';
import { withoutChanges } from './change-pieces.ts';
import type { PlanContext } from './context.ts';
import { createdTable, planCreateTableAs } from './create-table-as.ts';
import { planDelegated } from './delegate/plan-delegated.ts';
import { proveDelegation } from './delegate/prove.ts';
import { type PlanEdit, parameterExtent } from './edits.ts';
import { type FactsByRelation, findFacts } from './facts.ts';
import { spreadObstacle } from './functions.ts';
import { gather, isMovable, isWrittenBefore } from './gather.ts';
import { indexRoute } from './index-route.ts';
import { planInsert } from './insert.ts';
import { withMergeDefaults } from './merge-defaults.ts';
import { type Block, isChange, type Model, type RelationItem } from './model.ts';
import type { Plan } from './plan.ts';
import { createConstantPool } from './rewrite.ts';
import { planScatter } from './scatter.ts';
import { type NotOneShard, planSingleShard } from './single-shard.ts';
import { planStaged } from './stage/plan-staged.ts';
import { explainedStart } from './statement-text.ts';
import { touchedShards } from './touched-shards.ts';
import { triggerFirings } from './trigger-firings.ts';
import { planTwoPhases } from './two-phases.ts';
import { planUtilityQuery } from './utility-query.ts';
import { throughView, type ViewTarget } from './view-change.ts';
import { viewUses } from './view-uses.ts';

export { explainPlan } from './explain.ts';

/** Why calls of a function, by its OID, are not delegated to nodes; null: they are, if their arguments let them. */
export function delegationObstacle(oid: number, around: Pick<PlanContext, 'snapshot' | 'searchPath'>): string | null {
  const delegation = [...around.snapshot.delegations.values()].flat().find((each) => each.oid === oid);
  if (delegation === undefined) return 'it has no distribution argument';
  const proof = proveDelegation(delegation, around, planStatement);
  return 'obstacle' in proof ? proof.obstacle : null;
}

/**
 * The plan of a SELECT, VALUES, INSERT, UPDATE, DELETE or MERGE, or of the query inside DECLARE CURSOR, CREATE TABLE AS and COPY.
 * Rungs are tried in order; each says why it doesn't take the statement, and the last word is the gather, which takes any query.
 */
export function planStatement(statement: RawStatement, context: PlanContext, outer: OuterViews = noViews): Plan {
  if ('ExplainStmt' in statement.node && statement.node.ExplainStmt.query) {
    return planStatement({ ...statement, node: statement.node.ExplainStmt.query }, context);
  }
  const inner = queryInside(statement.node);
  if ('CallStmt' in inner) return planOfCall(statement, planLocal(statement, [], null), context);
  if (!isQuery(inner)) return planLocal(statement, [], null);
  const cut = withoutExplain(statement);
  const model = analyze(inner, cut, context);
  const isUtility = inner !== statement.node || createsTable(inner);
  const view = model.relations.find((item) => item.isChangedView);
  if (view) return planThroughView({ model, node: inner, target: view }, { statement: cut, isUtility, outer }, context);
  if (isLocal(model)) {
    const local = planLocal(cut, model.blocks, model);
    return isUtility ? local : planOfCall(cut, local, context);
  }
  const created = createdTable(statement.node);
  // PostgreSQL makes the table without planning the query.
  if (created?.into.skipData) return planLocal(cut, model.blocks, model);
  const completed = withMergeDefaults(model, inner);
  if (completed) return planStatement(completed, context, outer);
  const planned = (created && planCreateTableAs(created, model, context)) ?? planModel(model, isUtility, context);
  const cursor = 'DeclareCursorStmt' in statement.node ? forCursor(planned) : planned;
  const firings = triggerFirings(model);
  const fired = firings === null ? cursor : { ...cursor, firings };
  const plan = touchesKeys(model, context) ? { ...fired, touchesKeys: true as const } : fired;
  return model.views.length === 0 ? plan : { ...plan, views: viewUses(model) };
}

/** Views that a statement came through. */
interface OuterViews {
  /** OIDs, the nearest first. */
  readonly within: readonly number[];
  /** One of them has WITH CASCADED CHECK OPTION. */
  readonly cascades: boolean;
}

const noViews: OuterViews = { within: [], cascades: false };

/** A change of a view is planned as one of its table. What PostgreSQL refuses, or has a trigger for, it gets as it stands. */
function planThroughView(
  view: Omit<ViewTarget, 'mustCheck'>,
  { statement, isUtility, outer }: { statement: RawStatement; isUtility: boolean; outer: OuterViews },
  context: PlanContext,
): Plan {
  const { model, target } = view;
  const { relation } = target;
  assert(relation, 'a changed view is known');
  if (isUtility) throw unsupported('PH060', `a change through the view ${relation.name} inside another statement`);
  const option = relation.viewOptions?.checkOption ?? null;
  const through = throughView({ ...view, mustCheck: option !== null || outer.cascades }, context);
  const local = () => planLocal(statement, model.blocks, model);
  if (through === null) return local();
  const within = [relation.oid, ...outer.within];
  const plan = planStatement(through.statement, context, { within, cascades: outer.cascades || option === 'cascaded' });
  if (plan.rung === 'local') return local();
  const use = { view: relation.oid, within: outer.within, tables: through.tables, privileges: through.privileges };
  const views = [...(through.isChecked ? [relation.name] : []), ...(plan.checks?.views ?? [])];
  const checked = { checks: { views, returnsRows: through.hadReturning }, returnsRows: through.hadReturning };
  return {
    ...plan,
    ...{ reason: `${plan.reason}; through the view ${relation.name}`, describedFirst: true },
    views: [use, ...(plan.views ?? [])],
    ...(views.length > 0 ? checked : {}),
  };
}

/** What it changes may touch keys that the router keeps. */
function touchesKeys({ relations }: Model, { snapshot }: PlanContext): boolean {
  return relations.some(({ isTarget, relation }) => isTarget && relation && snapshot.keptTables.has(relation.oid));
}

function forCursor(plan: Plan): Plan {
  return plan.final.kind === 'combine' ? { ...plan, final: { ...plan.final, cursor: true } } : plan;
}

function planModel(model: Model, isUtility: boolean, context: PlanContext): Plan {
  const facts = findFacts(model.root);
  const plan = withIndexRoute(planWithFacts(model, facts, isUtility, context), { model, facts, isUtility }, context);
  return plan.touches ? plan : { ...plan, touches: touchedShards(model, facts, context) };
}

/** The plan for all nodes stays: it answers when the row is not where the index says. */
function withIndexRoute(
  plan: Plan,
  { model, facts, isUtility }: { model: Model; facts: FactsByRelation; isUtility: boolean },
  context: PlanContext,
): Plan {
  if (plan.rung === 'single shard' || isUtility) return plan;
  const byIndex = indexRoute(model, facts, context);
  if (byIndex === null) return plan;
  const reason = `${plan.reason}; but unique index ${byIndex.index.name} is asked first which shard has the row`;
  return { ...plan, reason, byIndex, valueIndependent: false };
}

function planWithFacts(model: Model, facts: FactsByRelation, isUtility: boolean, context: PlanContext): Plan {
  if (changesFirst(model) && !isUtility) return planAfterChange(model, facts, context);
  if (isUtility) {
    const reason = 'a utility statement with a query inside';
    const plan = planUtilityQuery(model, context) ?? planGather(model, facts, context, { reason, isUtility });
    return copyBeside(plan, model, context) ?? plan;
  }
  const target = model.relations.find((item) => item.isTarget && item.block === model.root);
  if (target && target.role !== 'local') return planTargetChange(model, facts, context);
  if (target) return planGather(model, facts, context, { reason: `${target.name} is a local table`, isUtility });
  return planQuery(model, facts, context);
}

/** Something is changed in WITH, there or in the statement itself a table that is not the coordinator's alone. */
function changesFirst({ relations, root }: Model): boolean {
  const targets = relations.filter((item) => item.isTarget);
  return targets.some((item) => item.block !== root) && targets.some((item) => item.role !== 'local');
}

function planAfterChange(model: Model, facts: FactsByRelation, context: PlanContext): Plan {
  const single = trySingleShard(model, facts, context);
  if ('rung' in single) return single;
  const { changes, rest } = splitChanges(model, context);
  const first = changes.map((each) => ({ plan: planPart(each, context), checked: withoutChanges(each, context) }));
  // What the rest reads, it reads where the changes are made, and not in a transaction beside.
  const { beside: _, ...plan } = isChange(rest.root)
    ? planPart(rest, context)
    : planGather(rest, findFacts(rest.root), context, { reason: single.reason, isUtility: false });
  return {
    ...plan,
    reason: `${plan.reason}; the change${first.length > 1 ? 's' : ''} in WITH ${first.length > 1 ? 'go' : 'goes'} first`,
    changes: first,
    ...{ writes: true, valueIndependent: false },
  };
}

/** A change, after others or before what reads its rows. */
function planPart(model: Model, context: PlanContext): Plan {
  const target = model.relations.find((item) => item.isTarget && item.block === model.root);
  if (target?.role === 'local' && isWrittenBefore(model, target.relation)) {
    throw unsupported('PH002', `several changes of ${target.name} in one statement`);
  }
  return planModel(model, false, context);
}

/** SELECT and VALUES (with CTEs that may change something). */
function planQuery(model: Model, facts: FactsByRelation, context: PlanContext): Plan {
  const changed = model.relations.find((item) => item.isTarget && item.role !== 'local');
  if (context.force === 'gather' && !changed) {
    return planGather(model, facts, context, { reason: 'asked for by pgherd.force_rung', isUtility: false });
  }
  const single = trySingleShard(model, facts, context);
  if ('rung' in single) return single;
  const scatter = planScatter(model, facts, context);
  if ('rung' in scatter) return scatter;
  const phases = planTwoPhases(model, facts, context);
  if ('rung' in phases) return phases;
  const staged = planStaged({ SelectStmt: model.root.node } as Node, model, context);
  if ('rung' in staged) return staged;
  const reasons = [...new Set([single.reason, scatter.reason, phases.reason, staged.reason])];
  const plan = planGather(model, facts, context, { reason: reasons.join('; '), isUtility: false });
  return { ...plan, valueIndependent: plan.valueIndependent && !single.dependsOnParameters };
}

function planTargetChange(model: Model, facts: FactsByRelation, context: PlanContext): Plan {
  const single = trySingleShard(model, facts, context);
  if ('rung' in single) return single;
  const plan =
    model.root.kind === 'insert'
      ? planInsert(model, facts, context, single.reason)
      : planChange(model, facts, context, single.reason);
  return { ...plan, valueIndependent: plan.valueIndependent && !single.dependsOnParameters };
}

function trySingleShard(model: Model, facts: FactsByRelation, context: PlanContext): Plan | NotOneShard {
  const early = model.relations.find((item) => isWrittenBefore(model, item.relation));
  if (early) return { reason: `${early.name} has been changed before`, dependsOnParameters: false };
  const obstacle = model.relations.some((item) => item.isTarget) ? changeObstacle(model, facts) : null;
  if (obstacle) return { reason: obstacle, dependsOnParameters: false };
  const found = planSingleShard(model, facts, context);
  if (!('sql' in found)) return found;
  return {
    ...{ rung: 'single shard', reason: found.reason, constants: found.constants, motions: [] },
    final: { kind: 'pass', site: found.nodeId, sql: found.sql },
    writes: model.relations.some((item) => item.isTarget || item.lock !== null),
    returnsRows: returnsRows(model),
    valueIndependent: !found.dependsOnParameters,
    touches: touchedShards(model, facts, context, found.shard),
  };
}

/** Nothing in it is distributed, and no reference table is changed: the coordinator answers by itself. */
function isLocal(model: Model): boolean {
  return !model.relations.some(
    (item) => item.role === 'distributed' || item.role === 'virtual' || (item.isTarget && item.role === 'reference'),
  );
}

/** What may be no more than the call of a function that belongs to a node. */
function planOfCall(statement: RawStatement, local: Plan, context: PlanContext): Plan {
  const found = planDelegated(statement, context, planStatement);
  if (found === null) return local;
  return 'obstacle' in found ? { ...local, undelegated: found.obstacle, valueIndependent: false } : found;
}

/** As written; only the parameters become holes. */
function planLocal(statement: RawStatement, blocks: readonly Block[], model: Model | null): Plan {
  const source = createSource(statement);
  const edits = blocks.flatMap((block) =>
    block.parameters.map(
      ({ number = 0, location }): PlanEdit => ({
        ...parameterExtent(source, location),
        parts: [{ parameter: number - 1 }],
      }),
    ),
  );
  return {
    ...{ rung: 'local', reason: 'no distributed table', constants: [], motions: [] },
    final: { kind: 'pass', site: 'coordinator', sql: splice(source, edits) },
    writes:
      blocks.some(isChange) ||
      blocks.some((block) => block.kind === 'select' && block.node.lockingClause !== undefined),
    returnsRows: model !== null && returnsRows(model),
    valueIndependent: true,
  };
}

function planGather(
  model: Model,
  facts: FactsByRelation,
  context: PlanContext,
  { reason, isUtility }: { reason: string; isUtility: boolean },
): Plan {
  const changed = model.relations.find((item) => item.isTarget && item.role !== 'local');
  if (changed) throw unsupported('PH002', `a change of ${changed.name} inside another statement`);
  const plan = planCombine(model, facts, context, { reason, isUtility });
  if (plan.writes || !readsHere(plan)) return plan;
  const beside = isUtility || spreadObstacle(model.blocks, context) !== null ? null : planBeside(plan, model, context);
  if (beside !== null && isPlan(beside) && beside.beside !== undefined) return beside;
  return context.opensFragments ? planCombine(model, facts, context, { reason, isUtility, movesOwn: true }) : plan;
}

function planCombine(
  model: Model,
  facts: FactsByRelation,
  context: PlanContext,
  { reason, isUtility, movesOwn = false }: { reason: string; isUtility: boolean; movesOwn?: boolean },
): Plan {
  const constants = createConstantPool();
  const gathered = gather({ model, facts, context, constants, movesOwn });
  const isHere = (item: RelationItem) =>
    (item.role === 'local' || item.role === 'reference') && !(movesOwn && isMovable(item));
  const readsHere = model.relations.some(isHere) ? { readsHere: true as const } : {};
  return {
    ...{ rung: 'gather', reason, constants: constants.list, motions: gathered.motions },
    final: { kind: 'combine', sql: gathered.sql, utility: isUtility, ...readsHere },
    writes: model.blocks.some(isChange) || locksRows(model),
    returnsRows: !isUtility && returnsRows(model),
    valueIndependent: !gathered.dependsOnParameters,
  };
}

function isPlan(answer: Plan | { readonly reason: string }): answer is Plan {
  return 'rung' in answer;
}

function readsHere({ final }: Plan): boolean {
  return final.kind === 'combine' && final.readsHere === true;
}

function locksRows(model: Model): boolean {
  return model.relations.some((item) => item.role !== 'distributed' && item.lock !== null);
}

function returnsRows({ root }: Model): boolean {
  if (!isChange(root)) return true;
  return 'returningClause' in root.node && root.node.returningClause !== undefined;
}

function isQuery(node: Node): boolean {
  return ['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'].some((kind) => kind in node);
}

/** SELECT INTO and CREATE TABLE AS make a table on the coordinator. */
function createsTable(node: Node): boolean {
  return 'SelectStmt' in node && leftmost(node.SelectStmt).intoClause !== undefined;
}

function leftmost(select: { larg?: object; intoClause?: unknown }): { intoClause?: unknown } {
  return select.larg ? leftmost(select.larg) : select;
}

/** The query of a utility statement; the statement itself when it is one. */
function queryInside(node: Node): Node {
  if ('DeclareCursorStmt' in node && node.DeclareCursorStmt.query) return node.DeclareCursorStmt.query;
  if ('CreateTableAsStmt' in node && node.CreateTableAsStmt.query) return node.CreateTableAsStmt.query;
  if ('CopyStmt' in node && node.CopyStmt.query) return node.CopyStmt.query;
  return node;
}

/** The statement that EXPLAIN explains comes with EXPLAIN's own text. */
function withoutExplain(statement: RawStatement): RawStatement {
  if (!/^[\s\S]{0,200}explain/i.test(statement.text)) return statement;
  const source = createSource(statement);
  const start = explainedStart(source);
  if (start === 0) return statement;
  return {
    ...statement,
    text: textBetween(source, start, source.bytes.length),
    offsetBytes: statement.offsetBytes + start,
  };
}
