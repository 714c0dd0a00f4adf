import type { ColumnRef, Node } from '@pgsql/types';
import { nameParts, walk } from '../sql/walk.ts';
import {
  type Block,
  type Child,
  type FromItem,
  type JoinItem,
  type LeafItem,
  leavesOf,
  type QueryItem,
  type RelationItem,
} from './model.ts';
import { type Bound, bind, mergedColumns, outputColumns } from './resolve.ts';

/**
 * A condition that all rows meet which can have a part in the result. A relation may be read as if it held only the rows that
 * meet its facts: that is what filters are pushed down by, and what pins a relation to a shard.
 */
export interface Fact {
  readonly expression: Node;
  /** What each column reference in it means; null: not known. */
  readonly columns: ReadonlyMap<ColumnRef, Bound | null>;
  /** The condition holds a subquery: it can't be evaluated elsewhere. */
  readonly nested: boolean;
  /** What `x IN (SELECT k …)` says of the rows of its subquery: others have no part in the result. */
  readonly semiJoin?: true;
  /** It isn't true of a row in which these are null-extended. */
  readonly strictOn: ReadonlySet<LeafItem>;
}

type SublinkChild = Extract<Child, { via: 'sublink' }>;

export type FactsByRelation = ReadonlyMap<RelationItem, readonly Fact[]>;

/** The facts of every relation in a statement. */
export function findFacts(root: Block): FactsByRelation {
  const found = new Map<RelationItem, readonly Fact[]>();
  visitBlock(root, [], found);
  return found;
}

function visitBlock(block: Block, outer: readonly Fact[], found: Map<RelationItem, readonly Fact[]>): void {
  const own = block.kind === 'merge' ? [] : conjuncts(block.where, block);
  const facts = [...outer, ...own];
  if (block.kind === 'merge') mergeFacts(block, facts, found);
  else for (const item of block.from) flow(item, facts, found);
  for (const child of block.children) {
    // Subqueries of FROM have been reached by flow(); one in ON is evaluated for rows that the facts don't hold of.
    if (child.via === 'from') continue;
    const seen =
      child.via === 'sublink' && child.clause === 'other' ? [...facts, ...semiJoinFacts(child, own, block)] : [];
    visitBlock(child.block, seen, found);
  }
}

/**
 * WHERE demands `x IN (SELECT k …)`: of the subquery's rows only those with k = x matter, if k is a column of what it reads whose
 * groups, if it has any, it makes. An IN elsewhere may also be told apart from NULL.
 */
function semiJoinFacts({ link, block: inner }: SublinkChild, demanded: readonly Fact[], outer: Block): Fact[] {
  if (link?.subLinkType !== 'ANY_SUBLINK' || !link.testexpr || !('ColumnRef' in link.testexpr)) return [];
  const isDemanded = demanded.some(({ expression }) => 'SubLink' in expression && expression.SubLink === link);
  if (!isDemanded || (link.operName && nameParts(link.operName).join('.') !== '=')) return [];
  const output = inner.kind === 'select' && inner.node.targetList?.length === 1 ? inner.node.targetList[0] : undefined;
  const value = output && 'ResTarget' in output ? output.ResTarget.val : undefined;
  if (inner.kind !== 'select' || !value || !('ColumnRef' in value)) return [];
  const { limitCount, limitOffset, distinctClause = [], groupClause, havingClause } = inner.node;
  const isDistinctOn = distinctClause.some((node) => Object.keys(node).length > 0);
  if (limitCount || limitOffset || isDistinctOn || inner.functions.some((call) => call.over !== undefined)) return [];
  const [bound, own] = [bind(link.testexpr.ColumnRef, outer), bind(value.ColumnRef, inner)];
  const same = (node: Node) => {
    const grouped = 'ColumnRef' in node ? bind(node.ColumnRef, inner) : null;
    return grouped?.item === own?.item && grouped?.column === own?.column;
  };
  if (!bound || !own || (groupClause ? !groupClause.some(same) : havingClause !== undefined)) return [];
  const expression: Node = {
    A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: '=' } }], lexpr: link.testexpr, rexpr: value },
  };
  const columns = new Map([
    [link.testexpr.ColumnRef, bound],
    [value.ColumnRef, own],
  ]);
  return [{ expression, columns, nested: false, semiJoin: true, strictOn: new Set([bound.item, own.item]) }];
}

/** Unmatched rows count too, so the join condition restricts neither side unless only matched rows are acted on. */
function mergeFacts(block: Block, outer: readonly Fact[], found: Map<RelationItem, readonly Fact[]>): void {
  const { joinCondition, mergeWhenClauses = [] } = block.kind === 'merge' ? block.node : {};
  const kinds = mergeWhenClauses.map((node) =>
    'MergeWhenClause' in node ? node.MergeWhenClause.matchKind : undefined,
  );
  const condition = conjuncts(joinCondition ?? null, block);
  const [target, ...sources] = block.from;
  const bySource = kinds.includes('MERGE_WHEN_NOT_MATCHED_BY_SOURCE');
  const byTarget = kinds.includes('MERGE_WHEN_NOT_MATCHED_BY_TARGET');
  if (target) flow(target, bySource ? outer : [...outer, ...condition], found);
  for (const source of sources) flow(source, byTarget ? outer : [...outer, ...condition], found);
}

/** Sends facts about the rows that `item` yields down to its relations. */
function flow(item: FromItem, facts: readonly Fact[], found: Map<RelationItem, readonly Fact[]>): void {
  switch (item.kind) {
    case 'relation':
      found.set(item, [...facts, ...facts.flatMap((fact) => factInArms(fact, item))]);
      return;
    case 'query':
      flowIntoQuery(item, facts, found);
      return;
    case 'join':
      flowIntoJoin(item, facts, found);
      return;
    default:
      return;
  }
}

/** `(a.x = 1 AND b.y = 2) OR (a.x = 3 AND b.y = 4)` says of a alone that x is 1 or 3. */
function factInArms({ expression, columns, nested }: Fact, item: RelationItem): Fact[] {
  const isOr = 'BoolExpr' in expression && expression.BoolExpr.boolop === 'OR_EXPR';
  if (!isOr || nested || [...columns.values()].every((bound) => bound?.item === item)) return [];
  const own = new Map<ColumnRef, Bound | null>();
  const arms: Node[] = [];
  for (const arm of expression.BoolExpr.args ?? []) {
    const parts = 'BoolExpr' in arm && arm.BoolExpr.boolop === 'AND_EXPR' ? (arm.BoolExpr.args ?? []) : [arm];
    const about = parts.filter((part) => {
      const refs = columnRefsIn(part);
      return refs.length > 0 && refs.every((ref) => columns.get(ref)?.item === item);
    });
    const [first] = about;
    if (!first) return [];
    for (const ref of about.flatMap(columnRefsIn)) own.set(ref, columns.get(ref) ?? null);
    arms.push(about.length === 1 ? first : { BoolExpr: { boolop: 'AND_EXPR', args: about } });
  }
  const either: Node = { BoolExpr: { boolop: 'OR_EXPR', args: arms } };
  return [{ expression: either, columns: own, nested: false, strictOn: new Set() }];
}

function columnRefsIn(node: Node): ColumnRef[] {
  const refs: ColumnRef[] = [];
  walk([node], (kind, fields) => {
    if (kind === 'ColumnRef') refs.push(fields);
    return true;
  });
  return refs;
}

/**
 * An outer join whose null-extended rows the facts reject is as good as an inner one. Otherwise a side whose rows are kept
 * without a match isn't restricted by ON, and a side that may be null-extended is not restricted by a fact that nulls meet.
 */
function flowIntoJoin(join: JoinItem, facts: readonly Fact[], found: Map<RelationItem, readonly Fact[]>): void {
  const left = new Set(leavesOf(join.left));
  const right = new Set(leavesOf(join.right));
  const rejects = (side: ReadonlySet<LeafItem>) => facts.some(({ strictOn }) => meets(strictOn, side));
  const keepsLeft = (join.type === 'left' || join.type === 'full') && !rejects(right);
  const keepsRight = (join.type === 'right' || join.type === 'full') && !rejects(left);
  const on = [...conjuncts(join.on, join), ...usingFacts(join)];
  const from = (side: ReadonlySet<LeafItem>) =>
    facts.filter((fact) => !mentions(fact, side) || meets(fact.strictOn, side));
  const neither = keepsLeft && keepsRight;
  const toLeft = neither ? [] : [...(keepsRight ? from(left) : facts), ...(keepsLeft ? [] : on)];
  const toRight = neither ? [] : [...(keepsLeft ? from(right) : facts), ...(keepsRight ? [] : on)];
  flow(join.left, toLeft, found);
  flow(join.right, toRight, found);
}

function meets(some: ReadonlySet<LeafItem>, others: ReadonlySet<LeafItem>): boolean {
  for (const item of some) if (others.has(item)) return true;
  return false;
}

function mentions(fact: Fact, side: ReadonlySet<LeafItem>): boolean {
  for (const bound of fact.columns.values()) if (bound === null || side.has(bound.item)) return true;
  return fact.nested;
}

/** `USING (k)` and NATURAL as the equality that they are. */
export function usingFacts(join: JoinItem): Fact[] {
  return (mergedColumns(join) ?? []).flatMap((name) => {
    const [left, right] = [join.left, join.right].map((side) => boundIn(side, name));
    if (!left || !right) return [];
    const refs = [left, right].map((bound): ColumnRef => ({ fields: [{ String: { sval: bound.column } }] }));
    const [lexpr, rexpr] = refs.map((ref): Node => ({ ColumnRef: ref }));
    const expression: Node = {
      A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: '=' } }], lexpr: lexpr!, rexpr: rexpr! },
    };
    const columns = new Map([
      [refs[0]!, left],
      [refs[1]!, right],
    ]);
    return [{ expression, columns, nested: false, strictOn: new Set([left.item, right.item]) }];
  });
}

function boundIn(side: FromItem, name: string): Bound | null {
  const ref = { fields: [{ String: { sval: name } }] };
  return bind(ref, { from: [side], scopeParent: null, kind: 'select' } as unknown as Block);
}

/** The parts of a condition that are joined by AND. `place` is where its names are looked up. */
export function conjuncts(condition: Node | null, place: Block | JoinItem): Fact[] {
  if (condition === null) return [];
  if ('BoolExpr' in condition && condition.BoolExpr.boolop === 'AND_EXPR') {
    return (condition.BoolExpr.args ?? []).flatMap((arg) => conjuncts(arg, place));
  }
  return [createFact(condition, place)];
}

function createFact(expression: Node, place: Block | JoinItem): Fact {
  const scope = place.kind === 'join' ? scopeOf(place) : place;
  const columns = new Map<ColumnRef, Bound | null>();
  let nested = false;
  walk(expression, (kind, fields) => {
    if (kind === 'ColumnRef') columns.set(fields, scope ? bind(fields, scope) : null);
    if (kind === 'SubLink' || kind === 'SelectStmt') nested = true;
    return kind !== 'SubLink' && kind !== 'SelectStmt';
  });
  return { expression, columns, nested, strictOn: strictItems(expression, columns) };
}

/** ON sees what it joins, and not what stands beside it in FROM. */
function scopeOf(join: JoinItem): Block | null {
  for (const leaf of leavesOf(join)) {
    if (leaf.kind === 'relation') return { ...leaf.block, from: [join] };
    if (leaf.kind === 'query') return { ...leaf.owner, from: [join] };
  }
  return null;
}

const comparisons = new Set(['=', '<>', '<', '<=', '>', '>=']);
const strictKinds = new Set(['AEXPR_OP', 'AEXPR_OP_ANY', 'AEXPR_IN', 'AEXPR_LIKE', 'AEXPR_ILIKE', 'AEXPR_BETWEEN']);

/** A comparison with a column itself on one side isn't true when that column is null. */
function strictItems(expression: Node, columns: ReadonlyMap<ColumnRef, Bound | null>): ReadonlySet<LeafItem> {
  const items = new Set<LeafItem>();
  const add = (node: Node | undefined) => {
    const bound = node && 'ColumnRef' in node ? columns.get(node.ColumnRef) : null;
    if (bound) items.add(bound.item);
  };
  if ('NullTest' in expression && expression.NullTest.nulltesttype === 'IS_NOT_NULL') add(expression.NullTest.arg);
  if ('A_Expr' in expression && strictKinds.has(expression.A_Expr.kind ?? '')) {
    const { kind, name, lexpr, rexpr } = expression.A_Expr;
    const [operator] = nameParts(name).slice(-1);
    if (kind === 'AEXPR_OP' && !comparisons.has(operator ?? '')) return items;
    add(lexpr);
    if (kind === 'AEXPR_OP') add(rexpr);
  }
  return items;
}

/** Facts about what a subquery yields are facts about its own rows, where its outputs are plain columns of them. */
function flowIntoQuery(item: QueryItem, facts: readonly Fact[], found: Map<RelationItem, readonly Fact[]>): void {
  const outputs = isPlain(item.block) ? outputColumns(item) : null;
  const inside = facts.flatMap((fact) => {
    const columns = new Map<ColumnRef, Bound | null>();
    for (const [ref, bound] of fact.columns) {
      if (bound?.item !== item) columns.set(ref, bound);
      else columns.set(ref, outputs?.find(({ name }) => name === bound.column)?.bound ?? null);
    }
    if ([...columns.values()].includes(null)) return [];
    return [{ ...fact, columns, strictOn: strictItems(fact.expression, columns) }];
  });
  visitBlock(item.block, inside, found);
}

/** A filter on what it yields may as well be applied to what it reads: no grouping, DISTINCT, window, LIMIT, set-returning function. */
function isPlain(block: Block): boolean {
  if (block.kind !== 'select') return false;
  const { node } = block;
  const changesRows = [node.distinctClause, node.groupClause, node.havingClause, node.limitCount, node.limitOffset];
  return changesRows.every((clause) => clause === undefined) && !node.lockingClause && block.functions.length === 0;
}
