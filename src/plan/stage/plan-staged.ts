import type { ColumnRef, Node, SelectStmt } from '@pgsql/types';
import { PgError } from '../../core/errors.ts';
import { restate } from '../../sql/restate.ts';
import { nameParts } from '../../sql/walk.ts';
import { analyze } from '../analyze.ts';
import { planBeside } from '../beside.ts';
import type { PlanContext } from '../context.ts';
import { type FactsByRelation, findFacts } from '../facts.ts';
import { spreadObstacle, systemColumnsOf } from '../functions.ts';
import {
  type Block,
  isChange,
  isInside,
  joinsOf,
  type LeafItem,
  leavesOf,
  type Model,
  type RelationItem,
} from '../model.ts';
import { NotSplit } from '../phase-split.ts';
import type { Plan } from '../plan.ts';
import { bind, blockOutputs } from '../resolve.ts';
import { rewriteStatement } from '../rewrite.ts';
import { planScatter } from '../scatter.ts';
import { stagedParts } from '../staged-rows.ts';
import { stepsOf } from '../steps.ts';
import { planTwoPhases } from '../two-phases.ts';
import { colocateFrom } from './colocate.ts';
import { expandViews, flattenJoins, nameJoinColumns, nameOutputs, nextCte } from './normalise.ts';
import { outputsOf, type PlanQuery, selectStaged, stagedRange, stageQuery } from './query.ts';
import type { StageQuestion, Stepped } from './question.ts';
import { stageRecursive } from './recursive.ts';
import { sizeOf } from './size.ts';
import { createStaging, type Staging } from './staging.ts';
import { stageSublink } from './sublinks.ts';
import { changeTree } from './tree.ts';
import { refsIn } from './unit.ts';

/** Steps of one query that are looked for before it is given up. */
const maxRounds = 60;

/**
 * Plans a query in stages: rows are brought to where they are joined, subqueries are computed by themselves, until what is left can be
 * answered on the nodes, or by the coordinator over what has been brought to it.
 */
export function planStaged(query: Node, model: Model, context: PlanContext): Plan | { readonly reason: string } {
  const obstacle = stageObstacle(model, context);
  if (obstacle !== null) return { reason: obstacle };
  try {
    const staging = createStaging(context);
    const plan = planQuery(query, staging);
    if (!('rung' in plan)) return plan;
    const reason = 'rows are brought together step by step';
    const staged: Plan = { ...plan, rung: 'staged', reason, valueIndependent: false };
    if (context.staging !== 'opened') return planBeside(staged, model, context);
    if (!staging.context.steps.readsCoordinator) return { ...staged, opened: true };
    return { reason: 'tables of the coordinator, in a block that has changed something on nodes' };
  } catch (error) {
    if (error instanceof NotSplit || (error instanceof PgError && error.code === '0A000'))
      return { reason: error.message };
    throw error;
  }
}

function stageObstacle({ relations, blocks, edits, readsBefore }: Model, context: PlanContext): string | null {
  if (context.staging === 'none') return 'a transaction block with a snapshot for each statement';
  if (edits || readsBefore) return 'a change goes first';
  if (relations.some(({ lock, sample }) => lock !== null || sample !== null))
    return 'row locks and samples stay where the rows are';
  if (relations.some((item) => relations.some((other) => isNamesake(item, other)))) return 'tables of the same name';
  if (blocks.some((block) => joinSeesLess(block, blocks)))
    return 'a name that means another column outside of its join';
  if (relations.some(({ role }) => role === 'virtual')) return 'rows that the router tells';
  // The session alone knows its columns.
  if (relations.some((item) => item.relation === null && context.temporaryNames.has(item.node.relname ?? '')))
    return 'a temporary table';
  if (blocks.some(isChange)) return 'a change';
  if (blocks.some((block) => systemColumnsOf(block).length > 0)) return 'system columns';
  return spreadObstacle(blocks, context);
}

/** A name in ON is looked up among what is joined there. Where all of FROM would tell it otherwise, it can't become one of WHERE. */
function joinSeesLess(block: Block, blocks: readonly Block[]): boolean {
  const beside = new Set(block.from.flatMap(leavesOf));
  return joinsOf(block.from).some((join) => {
    const own = new Set(leavesOf(join));
    if (join.on === null || own.size === beside.size) return false;
    const refs = refsIn([join.on]);
    return blocks.some((each) =>
      each.columnRefs.some((ref) => {
        if (!refs.has(ref) || isNamed(ref, own)) return false;
        const bound = bind(ref, each);
        return bound === null || (beside.has(bound.item) && !own.has(bound.item));
      }),
    );
  });
}

/** It says which of these it is a column of; names in one FROM are different. */
function isNamed({ fields }: ColumnRef, leaves: ReadonlySet<LeafItem>): boolean {
  const parts = nameParts(fields);
  return parts.length === 2 && [...leaves].some(({ name }) => name !== null && name === parts[0]);
}

/** Rows that have been moved go by their table's bare name: it must tell which. */
function isNamesake(item: RelationItem, other: RelationItem): boolean {
  return (
    item !== other && item.block === other.block && item.name === other.name && !item.node.alias && !other.node.alias
  );
}

const planQuery: PlanQuery = (query, staging) =>
  staging.nest(() => planInRounds(query, staging)) ?? { reason: 'queries nested too deeply' };

function planInRounds(query: Node, staging: Staging): Plan | { readonly reason: string } {
  let tree = flattenJoins(query);
  for (let round = 0; round < maxRounds; round++) {
    const { context } = staging;
    const statement = restate(tree);
    const model = analyze(statement.node, statement, context);
    const facts = findFacts(model.root);
    const question: StageQuestion = { tree: statement.node, model, facts, context, staging, planQuery };
    const plan = planAsItStands(model, facts, context);
    if (plan !== null) return plan;
    const next = nextStep(question);
    if (next === null) return { reason: 'nothing more can be brought nearer' };
    if ('reason' in next) return next;
    tree = next.tree;
  }
  return { reason: 'too many steps' };
}

function planAsItStands(model: Model, facts: FactsByRelation, context: PlanContext): Plan | null {
  if (isAtCoordinator(model, context)) return planCombine(model, context);
  const scatter = planScatter(model, facts, context);
  if ('rung' in scatter) return scatter;
  const phases = planTwoPhases(model, facts, context);
  return 'rung' in phases ? phases : null;
}

/** All that it reads is on the coordinator, or has been brought there. */
function isAtCoordinator({ relations }: Model, context: PlanContext): boolean {
  return relations.every(({ role, relation }) => {
    if (role === 'local') return true;
    return role === 'reference' && !(relation && context.staged.has(relation));
  });
}

function planCombine(model: Model, context: PlanContext): Plan {
  const steps = stepsOf(context);
  const { motions, constants } = steps;
  steps.readsCoordinator ||= model.relations.some(({ relation }) => !(relation && context.staged.has(relation)));
  const sql = rewriteStatement({
    ...{ model, context, constants: null },
    replace: ({ relation }) => {
      const parts = stagedParts(relation, context);
      return parts && { parts, needsAlias: true };
    },
  });
  return {
    ...{ rung: 'staged', reason: 'combined on the coordinator', constants: constants.list, motions },
    final: { kind: 'combine', sql, utility: false },
    ...{ writes: false, returnsRows: true, valueIndependent: false },
  };
}

function nextStep(question: StageQuestion): Stepped {
  const { model, tree } = question;
  const cte = stepCte(question);
  if (cte) return cte;
  const viewless = expandViews(model, tree);
  if (viewless) return { tree: flattenJoins(viewless) };
  const joined = nameJoinColumns(model, tree);
  if (joined) return { tree: flattenJoins(joined) };
  const named = nameOutputs(model, tree);
  if (named) return { tree: named };
  const { root } = model;
  if (root.kind === 'set operation') return stageArm(root, question);
  if (root.kind !== 'select') return { reason: 'VALUES' };
  for (const block of fromBlocks(root)) {
    const moved = block.kind === 'select' ? colocateFrom(block, question, block === root) : null;
    if (moved) return moved;
  }
  return stageSublink(question);
}

/** A CTE that is used once becomes a subquery; one that is used more often is computed beforehand. */
function stepCte(question: StageQuestion): Stepped {
  const { model, tree, staging } = question;
  const cte = nextCte(model, tree);
  if (!cte || 'reason' in cte) return cte;
  if (cte.isRecursive) return stageRecursive(cte, question);
  const query: Node = { SelectStmt: cte.block.node as SelectStmt };
  if (cte.uses <= 1) {
    return { tree: flattenJoins(cte.without((alias) => ({ RangeSubselect: { subquery: query, alias } }))) };
  }
  const outputs = outputsOf(query, staging.context);
  if ('reason' in outputs) return outputs;
  const { rows } = sizeOf(query, staging.context);
  const names = blockOutputs(cte.block)?.map(({ name }) => name);
  if (names?.length !== outputs.length || new Set(names).size < names.length) {
    return { reason: 'the columns of a CTE are not known' };
  }
  const staged = stageQuery(
    query,
    names,
    { kind: 'coordinator' },
    { staging, label: `Gather ${cte.name}`, rows, planQuery, shared: true },
  );
  if ('reason' in staged) return staged;
  return {
    tree: cte.without((alias) => {
      const range = stagedRange(staged, alias.aliasname) as { RangeVar: object };
      return { RangeVar: { ...range.RangeVar, alias } };
    }),
  };
}

/** The blocks whose rows FROM yields, innermost first; the block itself last. */
function fromBlocks(block: Block): Block[] {
  const inner = block.children.flatMap((child) => (child.via === 'from' ? fromBlocks(child.block) : []));
  return [...inner, block];
}

/** An arm of a set operation is computed by itself, and combined on the coordinator. */
function stageArm(root: Block, question: StageQuestion): Stepped {
  const { tree, staging, context } = question;
  for (const block of arms(root)) {
    if (block.kind !== 'select' || isPlainArm(block, question)) continue;
    const query: Node = { SelectStmt: block.node };
    if ((block.node.targetList ?? []).some(isUnknownLiteral))
      return { reason: 'a literal whose type another arm decides' };
    const outputs = outputsOf(query, context);
    if ('reason' in outputs) return outputs;
    const { rows } = sizeOf(query, context);
    const shown = blockOutputs(block)?.map(({ name }) => name);
    if (shown?.length !== outputs.length) return { reason: 'the columns of a set operation are not known' };
    const names = outputs.map(({ name }) => name);
    const staged = stageQuery(
      query,
      names,
      { kind: 'coordinator' },
      { staging, label: 'Gather one arm', rows, planQuery },
    );
    if ('reason' in staged) return staged;
    const { SelectStmt: select } = selectStaged(staged, staging.newName(), shown) as { SelectStmt: SelectStmt };
    return { tree: changeTree(tree, { queries: new Map([[block.node, select]]) }) };
  }
  return { reason: 'a set operation' };
}

function arms(block: Block): Block[] {
  if (block.kind !== 'set operation') return [block];
  return block.children.flatMap((child) => (child.via === 'arm' ? arms(child.block) : []));
}

function isPlainArm(block: Block, { model, context }: StageQuestion): boolean {
  return isAtCoordinator(
    { ...model, relations: model.relations.filter((item) => isInside(item.block, block)) },
    context,
  );
}

function isUnknownLiteral(item: Node): boolean {
  const value = 'ResTarget' in item ? item.ResTarget.val : undefined;
  return (
    value !== undefined && 'A_Const' in value && (value.A_Const.sval !== undefined || value.A_Const.isnull === true)
  );
}
