import type { ColumnRef, Node, SelectStmt, SubLink } from '@pgsql/types';
import { columnRef, nameParts, walk } from '../../sql/walk.ts';
import type { PlanContext } from '../context.ts';
import { conjuncts, type Fact } from '../facts.ts';
import { candidates, isAggregate } from '../functions.ts';
import { type LeafItem, leavesOf, type SelectBlock } from '../model.ts';
import { type Bound, bind } from '../resolve.ts';
import { allBlocks, isUncorrelated } from '../sublink.ts';
import { equalPairs } from './pairs.ts';
import type { StageQuestion } from './question.ts';
import {
  changeTree,
  conditionsOf,
  conjunction,
  equality,
  fromNodes,
  leavesIn,
  selectOf,
  target,
  whereOf,
} from './tree.ts';
import { concernsOnly, isWithin, relationFilters } from './unit.ts';

/**
 * `x < (SELECT avg(i.v) FROM i WHERE i.k = o.k)` as a join with `(SELECT i.k, avg(i.v) FROM i GROUP BY i.k)`: the groups are computed
 * once, wherever they are. null: it is not of that form.
 */
export function decorrelate(
  block: SelectBlock,
  link: SubLink,
  owner: SelectBlock,
  question: StageQuestion,
): { readonly tree: Node } | null {
  const { tree, staging } = question;
  const parts = correlationOf(block, question);
  const value = aggregatedValue(block, question);
  if (link.subLinkType !== 'EXPR_SUBLINK' || !parts || !value || !mayReadJoined(link, owner, question)) return null;
  const outerLeaves = new Set<LeafItem>(parts.keys.map(({ outer }) => outer.item));
  if (![...outerLeaves].every((leaf) => leavesIn(owner.from).includes(leaf))) return null;
  const alias = staging.newName();
  const magic = relevantKeys(parts.keys, question);
  const groups = selectOf({
    targetList: [
      ...parts.keys.map(({ inner }, i) => target(`k${i}`, innerRef(inner))),
      target('value', value.expression),
    ],
    ...(block.node.fromClause ? { fromClause: block.node.fromClause } : {}),
    ...whereOf([...parts.own, ...magic]),
    groupClause: parts.keys.map(({ inner }) => innerRef(inner)),
  });
  const item: Node = { RangeSubselect: { subquery: groups as never, alias: { aliasname: alias } } };
  const matches = parts.keys.map(({ outer }, i) =>
    equality(columnRef(alias, `k${i}`), columnRef(outer.item.name ?? '', outer.column)),
  );
  const column = columnRef(alias, 'value');
  const instead: Node = value.whenEmpty ? { CoalesceExpr: { args: [column, value.whenEmpty] } } : column;
  const nodes = new Map<object, Node>([[link, instead]]);
  const { fromClause = [], whereClause, ...fields } = owner.node;
  if (!value.whenEmpty && rejectsNull(link, owner)) {
    const select = {
      ...fields,
      fromClause: [...fromClause, item],
      ...whereOf([...conditionsOf(whereClause), ...matches]),
    };
    return { tree: changeTree(tree, { nodes, queries: new Map([[owner.node, select]]) }) };
  }
  const place = owner.from.find((each) => [...outerLeaves].every((leaf) => leavesOf(each).includes(leaf)));
  const beside = place && fromNodes(owner).get(place);
  if (!beside) return null;
  const quals = conjunction(matches)!;
  const join: Node = { JoinExpr: { jointype: 'JOIN_LEFT', larg: beside, rarg: item, quals } };
  const select: SelectStmt = { ...owner.node, fromClause: fromClause.map((node) => (node === beside ? join : node)) };
  return { tree: changeTree(tree, { nodes, queries: new Map([[owner.node, select]]) }) };
}

/** The value stands where all of FROM is seen, and columns that are not grouped by may stand. */
function mayReadJoined(link: SubLink, owner: SelectBlock, { context }: StageQuestion): boolean {
  const { fromClause = [], groupClause, havingClause, whereClause } = owner.node;
  if (holds(fromClause, link)) return false;
  const aggregates = owner.functions.filter((call) => isAggregate(call, context));
  if (!groupClause && !havingClause && aggregates.length === 0) return true;
  return holds([whereClause, ...aggregates.map((call): Node => ({ FuncCall: call }))], link);
}

function holds(places: readonly unknown[], link: SubLink): boolean {
  let found = false;
  walk(places, (_, fields: object) => {
    found ||= fields === link;
    return true;
  });
  return found;
}

interface Correlation {
  /** Conditions on its own rows. */
  readonly own: readonly Node[];
  readonly keys: readonly { readonly inner: Bound; readonly outer: Bound }[];
}

/** The subquery depends on the rows around it by equalities alone. */
function correlationOf(block: SelectBlock, { context }: StageQuestion): Correlation | null {
  const leaves = new Set(leavesIn(block.from));
  const inside = allBlocks(block).slice(1);
  if (!inside.every(isUncorrelated)) return null;
  const own: Node[] = [];
  const keys: { inner: Bound; outer: Bound }[] = [];
  for (const fact of conjuncts(block.where, block)) {
    if (isOwn(fact, leaves)) {
      own.push(fact.expression);
      continue;
    }
    const [pair] = equalPairs([fact], context);
    if (!pair) return null;
    const [inner, outer] = leaves.has(pair[0].item) ? pair : [pair[1], pair[0]];
    if (!leaves.has(inner.item) || leaves.has(outer.item) || isWithin(outer, block)) return null;
    keys.push({ inner, outer });
  }
  const elsewhere = block.columnRefs.some((ref) => {
    const bound = bind(ref, block);
    const isKey =
      bound !== null && keys.some(({ outer }) => outer.item === bound.item && outer.column === bound.column);
    return bound === null || (!leaves.has(bound.item) && !isKey);
  });
  const outerRefs = refsTo(
    block,
    keys.map(({ outer }) => outer),
  );
  return keys.length > 0 && !elsewhere && outerRefs === keys.length ? { own, keys } : null;
}

/** How often the outer columns are referred to: once for each equality, or the subquery uses them otherwise too. */
function refsTo(block: SelectBlock, outer: readonly Bound[]): number {
  return block.columnRefs.filter((ref) => {
    const bound = bind(ref, block);
    return bound !== null && outer.some(({ item, column }) => item === bound.item && column === bound.column);
  }).length;
}

function isOwn(fact: Fact, leaves: ReadonlySet<LeafItem>): boolean {
  return [...fact.columns.values()].every((bound) => bound !== null && leaves.has(bound.item));
}

function innerRef({ item, column }: Bound): Node {
  return columnRef(item.name ?? '', column);
}

interface AggregatedValue {
  readonly expression: Node;
  /** What it is over no rows; null: NULL. */
  readonly whenEmpty: Node | null;
}

/** One expression over aggregates of all its rows, whose value over no rows is known. */
function aggregatedValue(block: SelectBlock, { context }: StageQuestion): AggregatedValue | null {
  const {
    targetList = [],
    groupClause,
    havingClause,
    distinctClause,
    limitCount,
    limitOffset,
    sortClause,
  } = block.node;
  if (groupClause ?? havingClause ?? distinctClause ?? limitCount ?? limitOffset ?? sortClause) return null;
  const [item] = targetList;
  const expression = item && 'ResTarget' in item ? item.ResTarget.val : undefined;
  if (!expression || targetList.length > 1) return null;
  if (dividesByRows(expression)) return null;
  const isNull = (node: Node) => isNullOverNothing(node, context);
  if (isBuiltIn(expression, context) && functionName(expression) === 'count') return { expression, whenEmpty: zero };
  return isStrictOver(expression, isNull) ? { expression, whenEmpty: null } : null;
}

/** Not so regr_count() and the ranks of hypothetical rows; and others' aggregates may begin with a value. */
function isNullOverNothing(node: Node, context: PlanContext): boolean {
  return isBuiltIn(node, context) && nullOverNothing.has(functionName(node));
}

const nullOverNothing = new Set([
  ...['sum', 'avg', 'min', 'max', 'any_value', 'bool_and', 'bool_or', 'every', 'bit_and', 'bit_or', 'bit_xor'],
  ...['stddev', 'stddev_pop', 'stddev_samp', 'variance', 'var_pop', 'var_samp', 'corr', 'covar_pop', 'covar_samp'],
  ...['array_agg', 'string_agg', 'json_agg', 'jsonb_agg', 'percentile_cont', 'percentile_disc', 'mode'],
]);

/** An aggregate of PostgreSQL's own that no other one hides. */
function isBuiltIn(node: Node, context: PlanContext): boolean {
  if (!('FuncCall' in node) || !isAggregate(node.FuncCall, context)) return false;
  const names = nameParts(node.FuncCall.funcname);
  const overloads = candidates(names.at(-1) ?? '', names.length > 1 ? (names.at(-2) ?? null) : null, context);
  return overloads.length > 0 && overloads.every(({ schema }) => schema === 'pg_catalog');
}

function functionName(node: Node): string {
  return 'FuncCall' in node ? (nameParts(node.FuncCall.funcname).at(-1) ?? '') : '';
}

const zero: Node = {
  TypeCast: { arg: { A_Const: { ival: {} } }, typeName: { names: [{ String: { sval: 'int8' } }], typemod: -1 } },
};

/** Arithmetic that is NULL when its aggregates are. */
function isStrictOver(expression: Node, isNullAggregate: (node: Node) => boolean): boolean {
  if (isNullAggregate(expression)) return true;
  if ('TypeCast' in expression && expression.TypeCast.arg)
    return isStrictOver(expression.TypeCast.arg, isNullAggregate);
  if (!('A_Expr' in expression) || expression.A_Expr.kind !== 'AEXPR_OP') return false;
  const [operator] = nameParts(expression.A_Expr.name).slice(-1);
  if (!['+', '-', '*', '/'].includes(operator ?? '')) return false;
  const operands = [expression.A_Expr.lexpr, expression.A_Expr.rexpr].filter((node) => node !== undefined);
  const rest = operands.filter((node) => !('A_Const' in node));
  return rest.length > 0 && rest.every((node) => isStrictOver(node, isNullAggregate));
}

/** In a group that no row asks for that may be a division by zero. */
function dividesByRows(expression: Node): boolean {
  let found = false;
  walk([expression], (kind, { name, rexpr }: { name?: Node[]; rexpr?: Node }) => {
    if (kind === 'A_Expr') found ||= ['/', '%'].includes(nameParts(name).at(-1) ?? '') && !isPositive(rexpr);
    return true;
  });
  return found;
}

function isPositive(node: Node | undefined): boolean {
  if (!node || !('A_Const' in node)) return false;
  const { ival, fval } = node.A_Const;
  return Number(ival?.ival ?? fval?.fval ?? 0) > 0;
}

const comparisons = new Set(['=', '<>', '<', '<=', '>', '>=']);

/** It stands on one side of a comparison that WHERE demands: rows for which it is NULL don't count. */
function rejectsNull(link: SubLink, owner: SelectBlock): boolean {
  return conditionsOf(owner.node.whereClause).some((condition) => {
    if (!('A_Expr' in condition) || condition.A_Expr.kind !== 'AEXPR_OP') return false;
    const { name, lexpr, rexpr } = condition.A_Expr;
    if (!comparisons.has(nameParts(name).at(-1) ?? '')) return false;
    return [lexpr, rexpr].some((node) => node && 'SubLink' in node && node.SubLink === link);
  });
}

/**
 * Only groups that some outer row asks for matter. Where the outer relation is small, or filtered, they are restricted to its keys.
 */
export function relevantKeys(keys: Correlation['keys'], question: StageQuestion): Node[] {
  const { context, facts } = question;
  for (const { inner, outer } of keys) {
    const { item } = outer;
    if (item.kind !== 'relation' || !item.relation) continue;
    const staged = context.staged.get(item.relation);
    const own = (facts.get(item) ?? []).filter((fact) => isSelfContained(fact, item));
    const filters = [...relationFilters(item, question), ...own.map(({ expression }) => expression)];
    if (!staged && filters.length === 0) continue;
    const subselect = selectOf({
      targetList: [target('k', columnRef(item.name, outer.column))],
      fromClause: [{ RangeVar: item.node }],
      ...whereOf(filters),
    });
    return [{ SubLink: { subLinkType: 'ANY_SUBLINK', testexpr: innerRef(inner), subselect } }];
  }
  return [];
}

/** `o.k IN (SELECT …)` with a subquery that looks at nothing around it. */
function isSelfContained(fact: Fact, item: LeafItem): boolean {
  if (!fact.nested || concernsOnly(fact, new Set([item]))) return false;
  const { expression } = fact;
  if (!('SubLink' in expression) || expression.SubLink.subLinkType !== 'ANY_SUBLINK' || item.kind !== 'relation')
    return false;
  const child = item.block.children.find((each) => each.via === 'sublink' && each.link === expression.SubLink);
  const refs: ColumnRef[] = [];
  walk(expression.SubLink.testexpr ? [expression.SubLink.testexpr] : [], (kind, fields) => {
    if (kind === 'ColumnRef') refs.push(fields);
    return true;
  });
  const own = refs.length > 0 && refs.every((ref) => bind(ref, item.block)?.item === item);
  return own && child !== undefined && isUncorrelated(child.block);
}
