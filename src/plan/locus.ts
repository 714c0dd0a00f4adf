import { isKeyed } from '../catalog/snapshot.ts';
import { walk } from '../sql/walk.ts';
import { isAligned } from './alignment.ts';
import type { PlanContext } from './context.ts';
import { conjuncts, type FactsByRelation, usingFacts } from './facts.ts';
import { isAggregate, spreadObstacle } from './functions.ts';
import {
  type Block,
  type FromItem,
  isInside,
  type JoinItem,
  leavesOf,
  type Model,
  type QueryItem,
  type RelationItem,
} from './model.ts';
import { type Bound, bind, outputColumns } from './resolve.ts';
import { allBlocks, isDeterministic, isUncorrelated } from './sublink.ts';

/** Where the rows of a FROM item are. */
export type Locus =
  /** Every row is on the node of the shard that the anchor's key names; what else is in it is joined to the anchor there. */
  | {
      readonly kind: 'hashed';
      readonly anchor: RelationItem;
      /** Members whose key columns are never null-extended: rows with equal keys of theirs are on one node. */
      readonly solid: readonly RelationItem[];
      readonly members: readonly RelationItem[];
    }
  /** The same rows on every node. */
  | { readonly kind: 'replicated' }
  | { readonly kind: 'elsewhere'; readonly reason: string };

export interface LocusQuestion {
  readonly model: Model;
  readonly facts: FactsByRelation;
  readonly context: PlanContext;
}

export type Hashed = Extract<Locus, { kind: 'hashed' }>;

/** The locus of what a SELECT reads, its subqueries in expressions included; not hashed: why it can't be pushed down. */
export function sourceLocus(block: Block, question: LocusQuestion): Hashed | { readonly reason: string } {
  const { model, facts, context } = question;
  if (block.kind !== 'select') return { reason: 'set operations and VALUES are combined on the coordinator' };
  if (model.blocks.some((each) => each.children.some((child) => child.via === 'cte'))) {
    return { reason: 'CTEs are evaluated once, on the coordinator' };
  }
  const obstacle = spreadObstacle(model.blocks, context);
  if (obstacle) return { reason: obstacle };
  if (subqueries(block).some((each) => aggregatesOuterRows(each, context))) {
    return { reason: 'a subquery aggregates rows of the query around it' };
  }
  const locus = listLocus(block.from, question);
  if (locus.kind === 'elsewhere') return locus;
  if (locus.kind === 'replicated') return { reason: 'the outermost FROM has no distributed table' };
  for (const item of model.relations) {
    if (locus.members.includes(item) || item.role === 'reference') continue;
    const aligned = locus.members.some((member) => isAligned(item, member, facts.get(item) ?? [], context));
    if (!aligned) return { reason: `a subquery reads ${item.name}, which is elsewhere` };
  }
  // What is answered for a row of one node is answered once, there.
  const beside = model.blocks.flatMap((each) => each.from.flatMap(leavesOf).filter(looksBeside));
  const once = new Set(beside.flatMap((item) => (looksAtNodes(item.block) ? [item.block] : [])));
  const copies = subqueries(block).find(
    (each) => isReplicatedOnly(each, question) && !once.has(each) && !isDeterministic(each, context),
  );
  return copies ? { reason: 'a subquery may differ between the copies of a reference table' } : locus;
}

function subqueries(block: Block): Block[] {
  return block.children.flatMap((child) => [child.block, ...subqueries(child.block)]);
}

/** `SELECT (SELECT max(o.total)) FROM orders o`: an aggregate over outer columns alone belongs to the outer query. */
function aggregatesOuterRows(block: Block, context: PlanContext): boolean {
  return block.functions.some((call) => {
    if (!isAggregate(call, context)) return false;
    const own: boolean[] = [];
    walk([call.args, call.agg_filter, call.agg_order], (kind, fields) => {
      if (kind === 'ColumnRef') own.push(isOwnColumn(bind(fields, block), block));
      return true;
    });
    return own.length > 0 && !own.includes(true);
  });
}

function isOwnColumn(bound: Bound | null, block: Block): boolean {
  if (bound?.item.kind === 'relation') return bound.item.block === block;
  return bound?.item.kind === 'query' && bound.item.owner === block;
}

function isReplicatedOnly(block: Block, { model }: LocusQuestion): boolean {
  return !model.relations.some((item) => item.role === 'distributed' && isInside(item.block, block));
}

export function listLocus(items: readonly FromItem[], question: LocusQuestion): Locus {
  const [first, ...rest] = items;
  if (!first) return { kind: 'replicated' };
  return rest.reduce(
    (locus, item) => innerLocus(locus, locusBeside(item, locus, question), question),
    locusOf(first, question),
  );
}

/** A LATERAL subquery that looks at what stands to its left. */
export function looksBeside(item: FromItem): item is QueryItem {
  return item.kind === 'query' && item.lateral && !isUncorrelated(item.block);
}

/** At rows that only one node has; those of a reference table every node has, and answers for. */
function looksAtNodes(block: Block): boolean {
  return allBlocks(block).some((each) =>
    each.columnRefs.some((ref) => {
      if (ref.fields?.some((field) => 'A_Star' in field)) return false;
      const item = bind(ref, each)?.item;
      return item?.kind === 'relation' && item.role === 'distributed' && !isInside(item.block, block);
    }),
  );
}

/** Where an item's rows are beside those to its left: a LATERAL subquery is answered for each of these, where it is. */
function locusBeside(item: FromItem, left: Locus, question: LocusQuestion): Locus {
  const own = locusOf(item, question);
  if (own.kind !== 'elsewhere' || left.kind !== 'hashed' || !looksBeside(item)) return own;
  return isAnsweredBeside(item.block, left, question) ? { kind: 'replicated' } : own;
}

/** All that it reads is on the nodes of the rows that it is answered for. */
function isAnsweredBeside(block: Block, left: Hashed, { model, facts, context }: LocusQuestion): boolean {
  const reads = model.relations.filter((item) => isInside(item.block, block));
  return reads.every((item) => {
    if (item.sample || item.lock) return false;
    return (
      item.role === 'reference' ||
      left.members.some((member) => isAligned(item, member, facts.get(item) ?? [], context))
    );
  });
}

export function locusOf(item: FromItem, question: LocusQuestion): Locus {
  switch (item.kind) {
    case 'relation':
      if (item.role === 'distributed') return { kind: 'hashed', anchor: item, solid: [item], members: [item] };
      if (item.role === 'reference' && !item.sample) return { kind: 'replicated' };
      return { kind: 'elsewhere', reason: `${item.name} is on the coordinator` };
    case 'query':
      return queryLocus(item.block, question);
    case 'join':
      return joinLocus(item, question);
    default:
      return item.what === 'function' ? { kind: 'replicated' } : { kind: 'elsewhere', reason: 'a CTE' };
  }
}

/** A subquery in FROM is where its rows are, unless it groups or cuts rows of several nodes. */
function queryLocus(block: Block, question: LocusQuestion): Locus {
  if (isReplicatedOnly(block, question)) {
    if (isDeterministic(block, question.context)) return { kind: 'replicated' };
    return { kind: 'elsewhere', reason: 'a subquery may differ between the copies of a reference table' };
  }
  if (block.kind !== 'select') return { kind: 'elsewhere', reason: 'a set operation in FROM' };
  const locus = listLocus(block.from, question);
  const { limitCount, limitOffset, distinctClause } = block.node;
  const cuts = limitCount ?? limitOffset ?? distinctClause;
  const fine =
    locus.kind !== 'hashed' ||
    (!cuts && groupsStayWhole(block, locus, question.context) && windowsStayWhole(block, locus));
  return fine ? locus : { kind: 'elsewhere', reason: 'a subquery in FROM combines rows of several nodes' };
}

export function innerLocus(left: Locus, right: Locus, question: LocusQuestion): Locus {
  if (left.kind === 'elsewhere' || right.kind === 'replicated') return left;
  if (right.kind === 'elsewhere' || left.kind === 'replicated') return right;
  const members = [...left.members, ...right.members];
  const solid = [...left.solid, ...right.solid];
  if (aligned(right, left, question)) return { ...left, solid, members };
  if (aligned(left, right, question)) return { ...right, solid, members };
  return notColocated(left, right);
}

/** A member of one side is joined with a member of the other on all key columns. */
function aligned(side: Hashed, other: Hashed, { facts, context }: LocusQuestion): boolean {
  return side.solid.some((item) =>
    other.members.some((member) => isAligned(item, member, facts.get(item) ?? [], context)),
  );
}

function notColocated(left: Hashed, right: Hashed): Locus {
  return {
    kind: 'elsewhere',
    reason: `${left.anchor.name} and ${right.anchor.name} are not joined on their distribution columns`,
  };
}

function joinLocus(join: JoinItem, question: LocusQuestion): Locus {
  const left = locusOf(join.left, question);
  const right = locusBeside(join.right, left, question);
  if (join.type === 'inner') return innerLocus(left, right, question);
  if (left.kind === 'elsewhere') return left;
  if (right.kind === 'elsewhere') return right;
  if (join.type === 'full') return fullLocus(join, left, right, question);
  const [kept, other] = join.type === 'left' ? [left, right] : [right, left];
  if (other.kind === 'replicated') return kept;
  if (kept.kind === 'replicated') {
    return { kind: 'elsewhere', reason: 'a reference table is on the preserved side of an outer join' };
  }
  if (!aligned(other, kept, question)) return notColocated(left as Hashed, right as Hashed);
  return { ...kept, members: [...kept.members, ...other.members] };
}

/** Both sides keep their rows: only ON itself can say that matching rows are on one node. */
function fullLocus(join: JoinItem, left: Locus, right: Locus, { context }: LocusQuestion): Locus {
  if (left.kind === 'replicated' && right.kind === 'replicated') return left;
  if (left.kind !== 'hashed' || right.kind !== 'hashed') {
    return { kind: 'elsewhere', reason: 'a FULL JOIN with a reference table' };
  }
  const on = [...conjuncts(join.on, join), ...usingFacts(join)];
  const matched = left.solid.some((item) => right.solid.some((member) => isAligned(item, member, on, context)));
  if (!matched) return notColocated(left, right);
  return { kind: 'hashed', anchor: left.anchor, solid: [], members: [...left.members, ...right.members] };
}

/** Rows of one group are on one node: no grouping, or by all distribution columns of a member. */
export function groupsStayWhole(block: Block, locus: Hashed, context: PlanContext): boolean {
  if (block.kind !== 'select') return false;
  const { groupClause, havingClause, targetList = [] } = block.node;
  const aggregated = havingClause !== undefined || block.functions.some((call) => isAggregate(call, context));
  if (!groupClause) return !aggregated;
  const refs = groupClause.flatMap((node) => {
    if ('ColumnRef' in node) return [node.ColumnRef];
    const target = 'A_Const' in node ? targetList[(node.A_Const.ival?.ival ?? 0) - 1] : undefined;
    const value = target && 'ResTarget' in target ? target.ResTarget.val : undefined;
    return value && 'ColumnRef' in value ? [value.ColumnRef] : [];
  });
  return containsKey(refs, block, locus);
}

/** Rows of one window partition are on one node. */
export function windowsStayWhole(block: Block, locus: Hashed): boolean {
  if (block.kind !== 'select') return false;
  const named = new Map(
    (block.node.windowClause ?? []).flatMap((node) =>
      'WindowDef' in node ? [[node.WindowDef.name ?? '', node.WindowDef]] : [],
    ),
  );
  return block.functions.every(({ over }) => {
    if (!over) return true;
    const base = named.get(over.name ?? over.refname ?? '');
    const parts =
      over.partitionClause ?? base?.partitionClause ?? named.get(base?.refname ?? '')?.partitionClause ?? [];
    const refs = parts.flatMap((node) => ('ColumnRef' in node ? [node.ColumnRef] : []));
    return containsKey(refs, block, locus);
  });
}

type Refs = Parameters<typeof bind>[0][];

export function containsKey(refs: Refs, block: Block, locus: Hashed): boolean {
  const bounds = refs
    .map((ref) => bind(ref, block))
    .map((bound) => (bound?.item.kind === 'query' ? throughQueries(bound) : bound));
  return locus.solid.some((item) => {
    const distribution = item.table?.distribution;
    if (distribution?.kind !== 'distributed' || !isKeyed(distribution)) return false;
    return distribution.keys.every(({ name }) => {
      const index = item.relation?.columns.findIndex((column) => column.name === name) ?? -1;
      return bounds.some((bound) => bound?.item === item && bound.column === item.columns?.[index]);
    });
  });
}

/** A column of a subquery in FROM that is a plain column of what it reads. */
export function throughQueries(bound: Bound): Bound | null {
  let inner: Bound | null = bound;
  while (inner?.item.kind === 'query') {
    const { item, column }: { item: QueryItem; column: string } = { item: inner.item, column: inner.column };
    inner = outputColumns(item)?.find(({ name }) => name === column)?.bound ?? null;
  }
  return inner;
}
