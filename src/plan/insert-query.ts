import type { SelectStmt } from '@pgsql/types';
import { PgError } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import { restate } from '../sql/restate.ts';
import { visible } from './alignment.ts';
import { analyze } from './analyze.ts';
import { globalIndexes } from './change-checks.ts';
import type { PlanContext } from './context.ts';
import { type FactsByRelation, findFacts } from './facts.ts';
import type { RowColumn } from './insert-rows.ts';
import type { InsertShape } from './insert-shape.ts';
import { sameFamily } from './key-value.ts';
import { groupsStayWhole, type Hashed, sourceLocus, throughQueries, windowsStayWhole } from './locus.ts';
import { isInside, type Model, type SelectBlock } from './model.ts';
import type { NodeId, Site, SqlTemplate } from './plan.ts';
import { blockOutputs, columnEntry } from './resolve.ts';
import { distinctStaysWhole, locusShards, planScatter } from './scatter.ts';
import { nodesOf } from './shards.ts';
import { outputsOf, rowsAtCoordinator } from './stage/query.ts';
import type { Steps } from './steps.ts';
import { allBlocks } from './sublink.ts';
import { planTwoPhases } from './two-phases.ts';

/**
 * The nodes on which `INSERT … SELECT` may run as it stands, each inserting what it selects: the rows' distribution columns are those of
 * a co-located table that the query reads, and the nodes can give all other values too. null: rows have to move, or something about them
 * is the router's.
 */
export function nodesThatInsert(
  model: Model,
  facts: FactsByRelation,
  context: PlanContext,
  { shape, columns }: { readonly shape: InsertShape; readonly columns: readonly RowColumn[] },
): readonly NodeId[] | null {
  const { table, source } = shape;
  const { distribution } = table;
  if (source.kind !== 'query' || source.block.kind !== 'select' || distribution.kind !== 'distributed') return null;
  if (distribution.keys.length === 0 || globalIndexes(table).length > 0 || context.snapshot.keptTables.has(table.oid))
    return null;
  if (columns.some(({ given }) => given === null) || model.root.children.some(({ via }) => via === 'cte')) return null;
  // Beside another change in the statement, what is read must be read before that.
  if (model.readsBefore !== undefined) return null;
  const { block } = source;
  if (block.node.limitCount || block.node.limitOffset || model.relations.some(({ lock }) => lock !== null)) return null;
  const own = sourceModel(model, block);
  const locus = sourceLocus(block, { model: own, facts, context });
  if ('reason' in locus || !staysWhole(block, locus, context) || !keepsKeys(block, locus, shape)) return null;
  return nodesOf(locus.anchor.table!, locusShards(locus, facts, context).indexes);
}

function sourceModel(model: Model, block: SelectBlock): Model {
  const blocks = allBlocks(block);
  return { ...model, root: block, blocks, relations: model.relations.filter((item) => isInside(item.block, block)) };
}

function staysWhole(block: SelectBlock, locus: Hashed, context: PlanContext): boolean {
  const isDistinct = block.node.distinctClause !== undefined;
  return (
    groupsStayWhole(block, locus, context) &&
    windowsStayWhole(block, locus) &&
    (!isDistinct || distinctStaysWhole(block, locus))
  );
}

/** Each distribution column gets the value of the same one of a table of the group, which no assignment changes. */
function keepsKeys(block: SelectBlock, locus: Hashed, shape: InsertShape): boolean {
  const { distribution } = shape.table;
  if (distribution.kind !== 'distributed') return false;
  const outputs = blockOutputs(block) ?? [];
  const given = distribution.keys.map((key) => {
    const place = shape.columns.findIndex(({ name }) => name === key.name);
    const bound = outputs[place]?.bound ?? null;
    const inner = bound?.item.kind === 'query' ? throughQueries(bound) : bound;
    const [from, to] = [inner && columnEntry(inner), shape.columns[place]];
    const fits = from && to && sameFamily(from.typeOid, to.typeOid) && (to.typmod < 0 || to.typmod === from.typmod);
    return fits && from.collation === to.collation ? inner : null;
  });
  return locus.solid.some((member) => {
    const other = member.table?.distribution;
    if (other?.kind !== 'distributed' || other.group.id !== distribution.group.id) return false;
    return other.keys.every(({ name }, i) => given[i]?.item === member && given[i]?.column === visible(member, name));
  });
}

/** A query whose rows the nodes give as they stand, so that they need no way over the coordinator. */
export function scatteredQuery(query: SelectStmt, context: PlanContext, steps: Steps): Scattered | null {
  return unlessRefused(() => {
    const { model, inside } = queryInside(query, context, steps);
    if (model === null) return null;
    const plan = planScatter(model, findFacts(model.root), inside);
    if (!('rung' in plan) || plan.final.kind !== 'scatter') return null;
    return plan.final.limitRows === null && plan.final.offsetRows === 0 ? plan.final : null;
  });
}

interface Scattered {
  readonly sites: readonly Site[];
  readonly sql: SqlTemplate;
}

/** A query as SQL of the coordinator, most of it done by the nodes; null: it takes a gather. Its steps come behind those that are given. */
export function nearQuery(query: SelectStmt, context: PlanContext, steps: Steps): SqlTemplate | null {
  return unlessRefused(() => {
    const { statement, model, inside } = queryInside(query, context, steps);
    if (model === null) return null;
    const facts = findFacts(model.root);
    for (const way of [planScatter, planTwoPhases]) {
      const plan = way(model, facts, inside);
      if (!('rung' in plan)) continue;
      if (plan.final.kind === 'combine') return plan.final.sql;
      const columns = outputsOf(statement.node, inside);
      return 'reason' in columns ? null : rowsAtCoordinator(plan, columns, steps);
    }
    return null;
  });
}

/** The query by itself, its steps behind those that are given. `model` null: something of it is the router's, or a view. */
function queryInside(query: SelectStmt, context: PlanContext, steps: Steps) {
  const inside: PlanContext = { ...context, steps };
  const statement = restate({ SelectStmt: query });
  const model = analyze(statement.node, statement, inside);
  const isPlain = model.relations.every(({ lock, role }) => lock === null && role !== 'virtual');
  return { inside, statement, model: isPlain && model.views.length === 0 ? model : null };
}

/** Null where a form is not supported: the query takes a gather. */
function unlessRefused<T>(plan: () => T | null): T | null {
  try {
    return plan();
  } catch (error) {
    if (error instanceof PgError && error.code === conditions.featureNotSupported) return null;
    throw error;
  }
}
