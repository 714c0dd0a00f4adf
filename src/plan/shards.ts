import type { ColumnRef, Node } from '@pgsql/types';
import { shardIndex } from '../catalog/route.ts';
import { type DistributedTable, type Distribution, isKeyed, isOnOneNode, type NodeId } from '../catalog/snapshot.ts';
import { nameParts } from '../sql/walk.ts';
import type { PlanContext } from './context.ts';
import type { Fact } from './facts.ts';
import { type ComparedValue, comparedValue, type KeyValue, sameFamily } from './key-value.ts';
import type { RelationItem } from './model.ts';
import { type Bound, columnEntry } from './resolve.ts';

/** Shards that can hold rows which matter. */
export interface ShardSet {
  /** null: any. */
  readonly indexes: ReadonlySet<number> | null;
  /** Decided by parameter values, or would have been had they been known. */
  readonly dependsOnParameters: boolean;
}

type Keyed = Extract<Distribution, { kind: 'distributed' }>;

/** Key combinations that are looked up one by one; beyond, all shards. */
const maxKeyCombinations = 200;

/** The shards of a distributed relation that its facts leave. */
export function shardsOf(item: RelationItem, facts: readonly Fact[], context: PlanContext): ShardSet {
  const distribution = item.table?.distribution;
  if (distribution && isOnOneNode(distribution)) return { indexes: new Set([0]), dependsOnParameters: false };
  if (distribution?.kind !== 'distributed' || !isKeyed(distribution)) {
    return { indexes: null, dependsOnParameters: false };
  }
  const seen = { parameter: false };
  const found = pinnedValues(item, distribution.keys, facts, context, seen);
  const values = found ?? (context.pinned?.table === item.table?.oid ? (context.pinned?.keys ?? null) : null);
  return { indexes: values === null ? null : lookUp(distribution, values), dependsOnParameters: seen.parameter };
}

/** The values of these columns that the facts leave, one list for each combination; null: any. */
export function pinnedValues(
  item: RelationItem,
  columns: readonly { readonly name: string; readonly typeOid: number }[],
  facts: readonly Fact[],
  context: PlanContext,
  seen = { parameter: false },
): readonly (readonly KeyValue[])[] | null {
  const classes = equalColumns(facts, context);
  const candidates = columns.map(({ name, typeOid }) => {
    const column = visibleName(item, name);
    return column === null ? null : keyValues({ item, column }, { typeOid, facts, classes, context, seen });
  });
  return candidates.every((candidate) => candidate !== null) ? combine(candidates) : null;
}

/** The shards that rows with these keys go to; null: any. */
export function lookUp(distribution: Keyed, rows: readonly (readonly KeyValue[])[]): ReadonlySet<number> | null {
  const indexes = new Set<number>();
  for (const row of rows) {
    const index = shardIndex(distribution.group, distribution.keys, [...row]);
    if (index === 'ask') return null;
    if (index !== 'none') indexes.add(index);
  }
  return indexes;
}

export function nodesOf(table: DistributedTable, indexes: ReadonlySet<number> | null): NodeId[] {
  const { distribution } = table;
  if (distribution.kind !== 'distributed') return [];
  const shards = distribution.group.shards.filter((shard) => indexes === null || indexes.has(shard.index));
  // No shard takes the values: any node rightly finds nothing, and can describe it.
  const asked = shards.length > 0 ? shards : distribution.group.shards.slice(0, 1);
  return [...new Set(asked.map((shard) => shard.nodeId))].sort((a, b) => a - b);
}

function visibleName(item: RelationItem, name: string): string | null {
  const index = item.relation?.columns.findIndex((column) => column.name === name) ?? -1;
  return item.columns?.[index] ?? null;
}

/** Columns that the facts say are equal: each column with all that equal it. */
type Classes = (bound: Bound) => readonly Bound[];

function equalColumns(facts: readonly Fact[], context: PlanContext): Classes {
  const classes: Bound[][] = [];
  const find = (bound: Bound) => classes.find((members) => members.some((member) => isSame(member, bound)));
  for (const fact of facts) {
    const pair = columnPair(fact, context);
    if (!pair) continue;
    const [a, b] = pair.map((bound) => find(bound) ?? [bound]) as [Bound[], Bound[]];
    if (a === b) continue;
    for (const members of [a, b]) if (classes.includes(members)) classes.splice(classes.indexOf(members), 1);
    classes.push([...a, ...b]);
  }
  return (bound) => find(bound) ?? [bound];
}

function isSame(a: Bound, b: Bound): boolean {
  return a.item === b.item && a.column === b.column;
}

/** `a.x = b.y` over types with one `=`. */
export function columnPair(fact: Fact, context: PlanContext): [Bound, Bound] | null {
  const sides = equalitySides(fact.expression, context);
  if (!sides) return null;
  const [a, b] = sides.map((side) => boundColumn(side, fact));
  if (!a || !b) return null;
  const [left, right] = [keyType(a), keyType(b)];
  return left !== null && right !== null && sameFamily(left, right) && sameCollation(a, b) ? [a, b] : null;
}

function sameCollation(a: Bound, b: Bound): boolean {
  return columnEntry(a)?.collation === columnEntry(b)?.collation;
}

function boundColumn(node: Node, fact: Fact): Bound | null {
  return 'ColumnRef' in node ? (fact.columns.get(node.ColumnRef as ColumnRef) ?? null) : null;
}

/** A distribution column of a domain counts as what the domain is over. */
function keyType(bound: Bound): number | null {
  const column = columnEntry(bound);
  if (!column || bound.item.kind !== 'relation') return null;
  const distribution = bound.item.table?.distribution;
  const key =
    distribution?.kind === 'distributed' ? distribution.keys.find(({ name }) => name === column.name) : undefined;
  return key?.typeOid ?? column.typeOid;
}

/** The operands of PostgreSQL's own `=`: not a user's, which a search_path with pg_catalog behind would allow. */
export function equalitySides(expression: Node, context: PlanContext): [Node, Node] | null {
  if (!('A_Expr' in expression)) return null;
  const { kind, lexpr, rexpr } = expression.A_Expr;
  return kind === 'AEXPR_OP' && lexpr && rexpr && isBuiltinEquality(expression, context) ? [lexpr, rexpr] : null;
}

function isBuiltinEquality(expression: Node, context: PlanContext): boolean {
  if (!('A_Expr' in expression)) return false;
  const names = nameParts(expression.A_Expr.name);
  if (names.at(-1) !== '=') return false;
  return names.length === 1 ? catalogFirst(context) : names.length === 2 && names[0] === 'pg_catalog';
}

export function catalogFirst({ searchPath }: PlanContext): boolean {
  return searchPath.find((schema) => !schema.startsWith('pg_temp') && !schema.startsWith('pg_toast')) === 'pg_catalog';
}

interface Question {
  readonly typeOid: number;
  readonly facts: readonly Fact[];
  readonly classes: Classes;
  readonly context: PlanContext;
  /** Set when a key is compared with a parameter, whatever comes of it. */
  readonly seen: { parameter: boolean };
}

/** All values that the column may have, by the fact that leaves the fewest; null: any. */
function keyValues(column: Bound, question: Question): readonly KeyValue[] | null {
  const members = question.classes(column);
  const lists = question.facts.flatMap((fact) => {
    const values = valuesIn(fact.expression, fact, { ...question, members, column });
    return values ? [values] : [];
  });
  return lists.sort((a, b) => a.length - b.length)[0] ?? null;
}

type Lookup = Question & { readonly members: readonly Bound[]; readonly column: Bound };

function valuesIn(expression: Node, fact: Fact, lookup: Lookup): readonly KeyValue[] | null {
  const { context, column } = lookup;
  const sides = equalitySides(expression, context);
  if (sides) return equalValue(sides, fact, lookup);
  if ('A_Expr' in expression && expression.A_Expr.kind === 'AEXPR_IN' && isBuiltinEquality(expression, context)) {
    const { lexpr, rexpr } = expression.A_Expr;
    const items = rexpr && 'List' in rexpr ? (rexpr.List.items ?? []) : [];
    if (!lexpr || items.length === 0) return null;
    return union(items.map((item) => equalValue([lexpr, item], fact, lookup)));
  }
  if ('NullTest' in expression && expression.NullTest.nulltesttype === 'IS_NULL' && expression.NullTest.arg) {
    const bound = boundColumn(expression.NullTest.arg, fact);
    return bound && isSame(bound, column) ? [null] : null;
  }
  if ('BoolExpr' in expression) {
    const args = (expression.BoolExpr.args ?? []).map((arg) => valuesIn(arg, fact, lookup));
    if (expression.BoolExpr.boolop === 'OR_EXPR') return union(args);
    if (expression.BoolExpr.boolop === 'AND_EXPR') return args.find((arg) => arg !== null) ?? null;
  }
  return null;
}

function union(lists: readonly (readonly KeyValue[] | null)[]): readonly KeyValue[] | null {
  return lists.every((list) => list !== null) ? lists.flat() : null;
}

function equalValue(sides: readonly [Node, Node], fact: Fact, lookup: Lookup): readonly KeyValue[] | null {
  for (const [side, other] of [sides, [sides[1], sides[0]] as const]) {
    const bound = boundColumn(side, fact);
    if (!bound || !lookup.members.some((member) => isSame(member, bound))) continue;
    const typeOid = keyType(bound);
    lookup.seen.parameter ||= holdsParameter(other);
    const compared: ComparedValue | null = typeOid === null ? null : comparedValue(other, typeOid, lookup.context);
    // The value is of the compared column's type; the key's own may be narrower (bigint and integer).
    if (!compared || !fitsKey(compared.value, lookup.typeOid)) continue;
    lookup.context.trace?.set(compared.value, other);
    return [compared.value];
  }
  return null;
}

const integerRanges: ReadonlyMap<number, bigint> = new Map([
  [21, 1n << 15n],
  [23, 1n << 31n],
]);

function fitsKey(value: KeyValue, typeOid: number): boolean {
  const bound = integerRanges.get(typeOid);
  if (bound === undefined || value === null) return true;
  const integer = BigInt(value.bytes.toString());
  return integer >= -bound && integer < bound;
}

function holdsParameter(node: Node): boolean {
  return (
    'ParamRef' in node || ('TypeCast' in node && node.TypeCast.arg !== undefined && holdsParameter(node.TypeCast.arg))
  );
}

/** One row of keys for each combination; null when there are too many. */
function combine(candidates: readonly (readonly KeyValue[])[]): readonly (readonly KeyValue[])[] | null {
  let rows: (readonly KeyValue[])[] = [[]];
  for (const values of candidates) {
    rows = rows.flatMap((row) => values.map((value) => [...row, value]));
    if (rows.length > maxKeyCombinations) return null;
  }
  return rows;
}
