import type { Node, SelectStmt } from '@pgsql/types';
import { PgError } from '../core/errors.ts';
import { deparseChecked, fillHoles, holeNode } from '../sql/deparse.ts';
import { mapNodes } from '../sql/walk.ts';
import { mayCollate } from './collations.ts';
import type { PlanContext } from './context.ts';
import type { FactsByRelation } from './facts.ts';
import { withHoles } from './fragment.ts';
import { rowWindow } from './limit.ts';
import { groupsStayWhole, sourceLocus } from './locus.ts';
import type { Model } from './model.ts';
import { createPhaseColumns, rowsName } from './phase-columns.ts';
import { NotSplit, type PhaseQuestion, type Split } from './phase-split.ts';
import type { Motion, Plan, SqlPart, SqlTemplate } from './plan.ts';
import { bind } from './resolve.ts';
import { parameterParts } from './rewrite.ts';
import { locusShards } from './scatter.ts';
import { nodesOf } from './shards.ts';
import { splitGroups } from './split-groups.ts';
import { splitRows } from './split-rows.ts';
import { splitSource } from './split-source.ts';
import { stagedParts } from './staged-rows.ts';
import { type Steps, stepsOf } from './steps.ts';
import type { Scope } from './type-inference.ts';

/** Partial aggregates, or sorted and de-duplicated rows, on the nodes; the rest on the coordinator. */
export function planTwoPhases(
  model: Model,
  facts: FactsByRelation,
  context: PlanContext,
): Plan | { readonly reason: string } {
  const { root } = model;
  const locus = sourceLocus(root, { model, facts, context });
  if ('reason' in locus) return locus;
  if (root.kind !== 'select') return { reason: 'no SELECT' };
  if (model.relations.some((item) => item.lock !== null)) return { reason: 'row locks' };
  if (mayCollate(root.node, model)) return { reason: 'collations of its own' };
  const whole = groupsStayWhole(root, locus, context);
  const ways = [
    whole
      ? { split: splitRows, reason: 'rows are ordered by the coordinator', label: 'Rows' }
      : { split: splitGroups, reason: 'partial aggregates', label: 'Partial aggregates' },
    { split: splitSource, reason: 'the coordinator aggregates rows', label: 'Rows' },
  ];
  const reasons: string[] = [];
  for (const { split, reason, label } of ways) {
    const columns = createPhaseColumns();
    const scope: Scope = { context, bind: (ref) => bind(ref, root) };
    const question: PhaseQuestion = { model, block: root, locus, context, scope, columns };
    try {
      return phasesPlan(split(question), question, facts, { reason, label });
    } catch (error) {
      if (!(error instanceof NotSplit || error instanceof PgError)) throw error;
      reasons.push(error.message);
    }
  }
  return { reason: [...new Set(reasons)].join('; ') };
}

function phasesPlan(
  split: Split,
  question: PhaseQuestion,
  facts: FactsByRelation,
  { reason, label }: { readonly reason: string; readonly label: string },
): Plan {
  const { model, locus, context, columns } = question;
  const steps = stepsOf(context);
  const shards = locusShards(locus, facts, context);
  const motion: Motion = {
    kind: 'gather',
    sites: nodesOf(locus.anchor.table!, shards.indexes),
    sql: fragmentSql(split.fragment, question, steps),
    columns: columns.motion,
    primaryKey: [],
    lookupColumns: [],
    locksRows: false,
    label,
  };
  const dependsOnParameters =
    shards.dependsOnParameters || (rowWindow(model.root.node as SelectStmt, context)?.dependsOnParameters ?? true);
  const { limitCount, limitOffset } = split.final;
  steps.readsCoordinator ||= JSON.stringify([limitCount, limitOffset]).includes('"SubLink"');
  const sql = finalSql(split.final, question, steps.motions.length);
  steps.motions.push(motion);
  return {
    ...{ rung: 'two phases', reason, constants: steps.constants.list, motions: steps.motions },
    final: { kind: 'combine', sql, utility: false },
    ...{ writes: false, returnsRows: true, valueIndependent: !dependsOnParameters },
  };
}

/** The nodes' part as text: relations by their full names, views expanded, parameters and constants as holes. */
function fragmentSql(fragment: SelectStmt, { model, context }: PhaseQuestion, { constants }: Steps): SqlTemplate {
  const { tree, holes } = withHoles(onNodes<Node>({ SelectStmt: fragment }, model), {
    ...{ context, constants, column: unqualified },
    rows: ({ schemaname, relname = '' }) =>
      stagedParts(context.snapshot.relations.get(schemaname ?? '')?.get(relname) ?? null, context),
  });
  return fillHoles<Exclude<SqlPart, string>>(deparseChecked(tree), holes);
}

function onNodes<T>(tree: T, model: Model): T {
  return mapNodes<T>(tree, (kind, fields: never) => {
    if (kind !== 'RangeVar') return undefined;
    const item = model.relations.find((each) => each.node === fields);
    if (item?.table) {
      const { schema, name } = item.table;
      const alias = item.node.alias ?? { aliasname: name };
      return { RangeVar: { schemaname: schema, relname: name, inh: true, relpersistence: 'p', alias } };
    }
    const view = model.views.find((each) => each.view?.node === fields);
    if (!view?.view || view.block.kind === 'insert') return undefined;
    const alias = view.view.node.alias ?? { aliasname: view.name ?? '' };
    return { RangeSubselect: { subquery: { SelectStmt: onNodes(view.block.node, model) }, alias } };
  });
}

function unqualified(ref: { fields?: Node[] }): Node | null {
  return (ref.fields?.length ?? 0) > 2 ? { ColumnRef: { fields: ref.fields!.slice(-2) } } : null;
}

/** The coordinator's part. Its functions run there: nothing of it becomes a constant. */
function finalSql(final: SelectStmt, { context, columns }: PhaseQuestion, motion: number): SqlTemplate {
  const holes: SqlPart[][] = [[columns.arrivalHead(), { motion }, `) AS ${rowsName}`]];
  const tree = mapNodes<Node>({ SelectStmt: final }, (kind, fields: { number?: number }) => {
    if (kind !== 'ParamRef') return undefined;
    return holeNode(holes.push(parameterParts(fields.number ?? 0, context)) - 1);
  });
  return fillHoles<Exclude<SqlPart, string>>(deparseChecked(tree), holes);
}
