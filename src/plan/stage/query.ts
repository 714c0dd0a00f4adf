import type { Node, SelectStmt } from '@pgsql/types';
import type { ColocationGroup, Distribution, KeyColumn } from '../../catalog/snapshot.ts';
import { quoteIdentifier } from '../../sql/quote.ts';
import { restate } from '../../sql/restate.ts';
import { joinParts } from '../../sql/source.ts';
import { columnRef } from '../../sql/walk.ts';
import { analyze } from '../analyze.ts';
import { askedTypes } from '../asked-types.ts';
import { mayCollate } from '../collations.ts';
import type { PlanContext } from '../context.ts';
import { findFacts } from '../facts.ts';
import { NotSplit } from '../phase-split.ts';
import type { Motion, MotionColumn, Plan, Site, SqlTemplate, StageTarget } from '../plan.ts';
import { bind, blockOutputs } from '../resolve.ts';
import { planScatter } from '../scatter.ts';
import type { Steps } from '../steps.ts';
import { inferType } from '../type-inference.ts';
import { castName, isTextual } from '../type-name.ts';
import { type Staging, stagedSchema } from './staging.ts';
import { rangeVar, selectOf, target } from './tree.ts';

/** Where the rows of a query are to stand. */
export type Destination =
  | { readonly kind: 'coordinator' }
  | { readonly kind: 'broadcast' }
  | {
      readonly kind: 'redistribute';
      readonly group: ColocationGroup;
      /** For each key of the group: the place of the column among the query's outputs. */
      readonly keys: readonly number[];
    };

/** A query whose rows stand as a relation now. */
export interface StagedQuery {
  readonly relation: string;
  readonly names: readonly string[];
}

export type PlanQuery = (query: Node, staging: Staging) => Plan | { readonly reason: string };

export interface StageRequest {
  readonly staging: Staging;
  readonly label: string;
  readonly rows: number;
  readonly planQuery: PlanQuery;
  /** Equal rows may be left out: each server sends one of them. */
  readonly once?: boolean;
  /** Groups that span nodes stay in parts: each node's own. */
  readonly perNode?: boolean;
  /** The rows are read in several places. */
  readonly shared?: boolean;
  /** Places of columns by which a correlated subquery looks rows up. */
  readonly lookups?: readonly number[];
}

/** Plans a query by itself and stages its rows under the given names. */
export function stageQuery(
  query: Node,
  names: readonly string[],
  destination: Destination,
  request: StageRequest,
): StagedQuery | { readonly reason: string } {
  const { staging, label, rows, planQuery } = request;
  const columns = outputsOf(query, staging.context);
  if ('reason' in columns) return columns;
  const planned = request.perNode ? planPerNode : planQuery;
  const plan = planned(query, staging);
  if (!('rung' in plan)) return plan;
  const source = sourceOf(plan, columns, staging);
  if (destination.kind === 'coordinator' && source.sites.length === 1 && source.sites[0] === 'coordinator') {
    // What is pushed into a query that is used twice might change which of equal rows it takes.
    const sql = request.shared ? ['SELECT * FROM (', ...source.sql, ') AS pgherd_s OFFSET 0'] : source.sql;
    return { relation: staging.addQuery(sql, columns, names, rows), names };
  }
  const alike = request.once === true && columns.every(({ typeOid }) => identicalTypes.has(typeOid));
  const motion = motionOf(source, columns, label, targetOf(destination, columns, names, staging.context), {
    ...request,
    once: alike,
  });
  const distribution = distributionOf(destination, columns, names);
  return { relation: staging.addRelation(motion, names, distribution, rows), names };
}

const planPerNode: PlanQuery = (query, { context }) => {
  const statement = restate(query);
  const model = analyze(statement.node, statement, context);
  return planScatter(model, findFacts(model.root), context, 'in parts');
};

/**
 * Types whose equal values can't be told apart: bool, bytea, "char", name, int8, int2, int4, text, oid, varchar, date, time, timestamp,
 * timestamptz, uuid. Not so numeric (1.0 = 1.00); and json has no equality at all.
 */
export const identicalTypes = new Set([16, 17, 18, 19, 20, 21, 23, 25, 26, 1043, 1082, 1083, 1114, 1184, 2950]);

/** The one value of a query that yields one row, as a parameter of the steps after it. */
export function stageValue(
  query: Node,
  staging: Staging,
  planQuery: PlanQuery,
): { readonly number: number } | { readonly reason: string } {
  const columns = outputsOf(query, staging.context);
  if ('reason' in columns) return columns;
  const [column] = columns;
  if (!column || column.collation !== null || columns.length > 1) return { reason: 'a subquery of an odd type' };
  const plan = planQuery(query, staging);
  if (!('rung' in plan)) return plan;
  const { final } = plan;
  if (final.kind === 'combine') return { number: staging.addValue(final.sql, column) };
  const source = sourceOf(plan, columns, staging);
  const index = staging.context.steps.motions.push(motionOf(source, columns, 'the value of a subquery', null)) - 1;
  const cast = column.viaText ? `::${column.typeName}` : '';
  return { number: staging.addValue([`SELECT c0${cast} FROM `, { motion: index }], column) };
}

/** A relation of staged rows as it stands in FROM. */
export function stagedRange({ relation }: StagedQuery, alias: string): Node {
  return rangeVar(stagedSchema, relation, alias);
}

/** `SELECT a, b FROM <staged rows>`, under other names if given. */
export function selectStaged(staged: StagedQuery, alias: string, shown: readonly string[] = staged.names): Node {
  const targetList = staged.names.map((name, i) => target(shown[i]!, columnRef(alias, name)));
  return selectOf({ targetList, fromClause: [stagedRange(staged, alias)] });
}

/** What nodes answer as SQL of the coordinator, over a motion that is added to the steps. */
export function rowsAtCoordinator(
  plan: Plan,
  columns: readonly MotionColumn[],
  { motions }: Pick<Steps, 'motions'>,
): SqlTemplate | null {
  const { final } = plan;
  if (final.kind !== 'scatter') return null;
  const index = motions.push(motionOf(final, columns, 'Rows', null)) - 1;
  const list = columns.map(({ viaText, typeName }, i) => `c${i}${viaText ? `::${typeName}` : ''}`).join(', ');
  const limit = final.limitRows === null ? '' : ` LIMIT ${final.limitRows}`;
  return [`SELECT ${list} FROM `, { motion: index }, `${limit} OFFSET ${final.offsetRows}`];
}

interface Source {
  readonly sites: readonly Site[];
  readonly sql: SqlTemplate;
}

function sourceOf(plan: Plan, columns: readonly MotionColumn[], staging: Staging): Source {
  const { final } = plan;
  if (final.kind === 'combine') return { sites: ['coordinator'], sql: final.sql };
  if (final.kind === 'pass') return { sites: [final.site], sql: final.sql };
  if (final.kind !== 'scatter') throw new NotSplit('only queries are staged');
  if (final.limitRows === null && final.offsetRows === 0) return final;
  return { sites: ['coordinator'], sql: rowsAtCoordinator(plan, columns, staging.context.steps)! };
}

/** Types are written out: whatever the query yields arrives as what it was declared to be. */
function motionOf(
  { sites, sql }: Source,
  columns: readonly MotionColumn[],
  label: string,
  to: StageTarget | null,
  { once = false, lookups = [], rows = 1 }: Partial<Pick<StageRequest, 'once' | 'lookups' | 'rows'>> = {},
): Motion {
  const list = columns.map(({ name, typeName, viaText }) => `${quoteIdentifier(name)}::${viaText ? 'text' : typeName}`);
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ');
  const wrapped = joinParts([
    `SELECT ${once ? 'DISTINCT ' : ''}${list.join(', ')} FROM (`,
    ...sql,
    `) AS pgherd_q(${names})`,
  ]);
  const lookupColumns = lookups.map((place) => columns[place]!.name);
  if (to !== null) return { kind: 'stage', sites, sql: wrapped, columns, to, expectedRows: rows, lookupColumns, label };
  const rest = { primaryKey: [], lookupColumns: [], locksRows: false } as const;
  return { kind: 'gather', sites, sql: wrapped, columns, ...rest, label };
}

function targetOf(
  destination: Destination,
  columns: readonly MotionColumn[],
  names: readonly string[],
  context: PlanContext,
): StageTarget | null {
  switch (destination.kind) {
    case 'coordinator':
      return null;
    case 'broadcast':
      return { kind: 'broadcast', nodes: activeNodes(context) };
    default: {
      const { group, keys } = destination;
      return { kind: 'redistribute', group, keyColumns: keyColumnsOf(destination, columns, names), keys };
    }
  }
}

export function activeNodes({ snapshot }: PlanContext): number[] {
  return snapshot.nodes.filter(({ active }) => active).map(({ id }) => id);
}

function distributionOf(
  destination: Destination,
  columns: readonly MotionColumn[],
  names: readonly string[],
): Distribution | null {
  if (destination.kind === 'coordinator') return null;
  if (destination.kind === 'broadcast') return { kind: 'reference', shardId: 0 };
  const { group } = destination;
  const keys = keyColumnsOf(destination, columns, names);
  return { kind: 'distributed', method: group.method, keys, group, shardIds: [], globalIndexes: [] };
}

function keyColumnsOf(
  { group, keys }: Extract<Destination, { kind: 'redistribute' }>,
  columns: readonly MotionColumn[],
  names: readonly string[],
): KeyColumn[] {
  return keys.map((place, i) => {
    const { typeOid, typeName, collation } = columns[place]!;
    return { name: names[place]!, attnum: place + 1, typeOid, typeName, family: group.families[i]!, collation };
  });
}

/** The columns that a query yields, as they travel. */
export function outputsOf(query: Node, context: PlanContext): MotionColumn[] | { readonly reason: string } {
  const statement = restate(query);
  const model = analyze(statement.node, statement, context);
  const { root } = model;
  const isCollated = model.relations.some((item) => item.relation?.columns.some(({ collation }) => collation !== null));
  if (isCollated || !('node' in root) || mayCollate(root.node as SelectStmt, model))
    return { reason: 'collations of its own' };
  const outputs = blockOutputs(root);
  const inferred =
    root.kind === 'select' && outputs?.length === root.node.targetList?.length
      ? (root.node.targetList ?? []).map((item) => {
          const value = 'ResTarget' in item ? item.ResTarget.val : undefined;
          return value ? inferType(value, { context, bind: (ref) => bind(ref, root) }) : null;
        })
      : null;
  const types = inferred?.every((type) => type !== null) ? inferred : askedTypes(model, context);
  if (!types) return { reason: 'the types of its columns are not known' };
  return types.map(({ typeOid, typeName }, i) => ({
    ...{ name: `c${i}`, typeOid, typeName: castName(typeOid, withoutModifier(typeName)), collation: null },
    viaText: isTextual(typeOid, typeName),
  }));
}

/** A numeric that has been through arithmetic of another query keeps its digits: no modifier goes with it. */
function withoutModifier(typeName: string): string {
  return typeName.startsWith('numeric(') ? 'numeric' : typeName;
}
