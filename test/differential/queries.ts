import { aggregate, groupByClause, groupingItems, havingClause, type Item } from './aggregates.ts';
import { expression, leaf } from './expressions.ts';
import { type From, fromClause, scopeOver, whereClause } from './from.ts';
import { type Column, columnsOf, deeper, literal, type Relation, type Scope } from './scope.ts';
import { scalarSubquery, smallNumber } from './subqueries.ts';
import type { ColumnDefinition, ColumnType } from './tables.ts';
import { list, type Ordering, optional, type Query, query, select, sql, type Tree, widthOf } from './tree.ts';
import { windowItem } from './windows.ts';

export type Typed = { readonly tree: Query; readonly columns: readonly ColumnDefinition[] };

const outputTypes: readonly ColumnType[] = [
  'int',
  'int',
  'int',
  'text',
  'text',
  'num',
  'date',
  'big',
  'ts',
  'tz',
  'bool',
  'mood',
  'uuid',
  'arr',
  'json',
  'float',
];

/** Any query, fit to stand in FROM or WITH: its columns are named and have known types. */
export function anyQuery(scope: Scope): Typed {
  const { random } = scope;
  const ctes = scope.depth > 1 && random.chance(0.2) ? withClause(scope) : undefined;
  const inner = ctes === undefined ? scope : { ...scope, ctes: [...scope.ctes, ...ctes.relations] };
  const body = random.weighted<() => Typed>([
    [50, () => plainQuery(inner)],
    [24, () => aggregateQuery(inner)],
    [10, () => windowQuery(inner)],
    [scope.depth > 0 ? 12 : 0, () => setQuery(inner)],
    [2, () => valuesQuery(inner)],
  ])();
  if (ctes === undefined) return body;
  return { ...body, tree: { ...body.tree, ctes: ctes.tree } };
}

function plainQuery(scope: Scope, types?: readonly ColumnType[]): Typed {
  const { random } = scope;
  const from = fromClause(scope);
  const inner = scopeOver(scope, from);
  const wanted = types ?? Array.from({ length: random.int(1, 4) }, () => someType(inner));
  const items = wanted.map((type) => selectItem(inner, type, types !== undefined));
  const rest = sql`FROM ${from.tree}${whereClause(inner)}`;
  const distinct = random.chance(0.1);
  const typed = named(scope, items, (trees) => select(trees, rest, distinct));
  return withOrder(scope, typed, { from, distinct, hiddenKeys: distinct ? undefined : inner });
}

/** Mostly one that a visible column has, so that results depend on the tables. */
function someType(scope: Scope): ColumnType {
  const { random } = scope;
  const columns = columnsOf(scope);
  return columns.length > 0 && random.chance(0.8) ? random.pick(columns).type : random.pick(outputTypes);
}

function selectItem(scope: Scope, type: ColumnType, fixed: boolean): Item {
  const { random } = scope;
  const sources = scope.sources.filter((source) => source.columns.every((column) => column.type !== 'float'));
  if (!fixed && sources.length > 0 && random.chance(0.02))
    return { tree: `${random.pick(sources).alias}::text`, type: 'text' };
  if (!fixed && random.chance(0.03)) return setReturning(scope);
  if (!fixed && type === 'text' && random.chance(0.04))
    return { tree: sql`(${expression(scope, type)} COLLATE "en-x-icu")`, type };
  return { tree: random.chance(0.5) ? leaf(scope, type) : expression(scope, type), type };
}

/** A function that gives several rows, in the select list. */
function setReturning(scope: Scope): Item {
  const { random } = scope;
  const arrays = columnsOf(scope, 'arr');
  if (arrays.length > 0) return { tree: `unnest(${random.pick(arrays).sql})`, type: 'int' };
  return { tree: sql`generate_series(1, ${leaf(scope, 'int')} % 4)`, type: 'int' };
}

function aggregateQuery(scope: Scope): Typed {
  const { random } = scope;
  const from = fromClause(scope);
  const inner = scopeOver({ ...scope, outer: [] }, from);
  const grouping = random.chance(0.75) ? groupingItems(inner) : [];
  const exact = scope.outer.length > 0 || scope.depth < 2;
  const aggregates = Array.from({ length: random.int(1, 3) }, () => aggregate(inner, exact));
  const ranking = grouping.length > 0 && random.chance(0.08) ? [rankOfGroups(grouping)] : [];
  const looked = grouping.length > 0 && scope.depth > 0 && random.chance(0.08) ? [lookedUp(inner, grouping)] : [];
  const items = [...grouping.filter(() => random.chance(0.85)), ...aggregates, ...looked, ...ranking];
  const groupBy = ranking.length > 0 ? sql` GROUP BY ${joined(grouping)}` : groupByClause(inner, grouping);
  const where = whereClause(scopeOver(scope, from), 0.55);
  const rest = sql`FROM ${from.tree}${where}${groupBy}${havingClause(inner)}`;
  const typed = named(scope, items, (trees) => select(trees, rest));
  return withOrder(scope, typed, { aggregated: true });
}

/** A subquery for each group, tied to what the groups are by. */
function lookedUp(scope: Scope, grouping: readonly Item[]): Item {
  const outer = grouping.flatMap(({ tree, type }, index) =>
    typeof tree === 'string' ? [{ sql: tree, name: `g${index}`, type }] : [],
  );
  return { tree: scalarSubquery({ ...scope, depth: 0, sources: [], outer }, 'num'), type: 'num' };
}

function rankOfGroups(grouping: readonly Item[]): Item {
  return { tree: sql`row_number() OVER (ORDER BY count(*) DESC, ${joined(grouping)})`, type: 'big' };
}

function joined(grouping: readonly Item[]): Tree {
  return list(
    grouping.map((item) => item.tree),
    ', ',
    grouping.length,
  );
}

function windowQuery(scope: Scope): Typed {
  const { random } = scope;
  const from = fromClause(scope, 2);
  const inner = scopeOver(scope, from);
  const plain = Array.from({ length: random.int(1, 2) }, () => selectItem(inner, someType(inner), true));
  // Two windows may number rows that look alike differently.
  const most = from.sources.every((source) => source.keyed) ? random.int(1, 2) : 1;
  const windows = Array.from({ length: most }, () => windowItem(inner));
  const rest = sql`FROM ${from.tree}${whereClause(inner, 0.5)}`;
  return withOrder(
    scope,
    named(scope, [...plain, ...windows], (trees) => select(trees, rest)),
  );
}

function setQuery(scope: Scope): Typed {
  const { random } = scope;
  const types = Array.from({ length: random.int(1, 3) }, () => random.pick(outputTypes.filter((t) => t !== 'float')));
  const arm = () => (random.chance(0.25) ? groupedArm(deeper(scope), types) : plainQuery(deeper(scope), types));
  const first = arm();
  let core: Tree = parenthesized(first.tree);
  for (let arms = random.chance(0.2) ? 2 : 1; arms > 0; arms--) {
    const operator = random.pick([
      'UNION',
      'UNION ALL',
      'UNION ALL',
      'INTERSECT',
      'EXCEPT',
      'INTERSECT ALL',
      'EXCEPT ALL',
    ]);
    core = { kind: 'set', operator, left: core, right: parenthesized(arm().tree) };
  }
  return withOrder(scope, { tree: query(core), columns: first.columns });
}

const smallest: readonly ColumnType[] = ['int', 'big', 'num', 'text', 'date', 'ts', 'tz', 'mood', 'arr'];

/** The smallest value of each type in each group. */
function groupedArm(scope: Scope, types: readonly ColumnType[]): Typed {
  if (!types.every((type) => smallest.includes(type))) return plainQuery(scope, types);
  const from = fromClause(scope, 2);
  const inner = scopeOver({ ...scope, outer: [] }, from);
  const grouping = scope.random.chance(0.7) ? groupingItems(inner) : [];
  const items = types.map((type): Item => ({ tree: sql`min(${leaf(inner, type)})`, type }));
  const rest = sql`FROM ${from.tree}${whereClause(scopeOver(scope, from), 0.5)}${groupByClause(inner, grouping)}`;
  return named(scope, items, (trees) => select(trees, rest));
}

/** In parentheses, yet still known as a query to the one who drops columns. */
function parenthesized(tree: Query): Query {
  return { ...tree, parentheses: true };
}

function valuesQuery(scope: Scope): Typed {
  const { random } = scope;
  const types = random.sample(outputTypes, random.int(1, 3));
  const row = () =>
    sql`(${list(
      types.map((type) => literal(scope, type)),
      ', ',
      types.length,
    )})`;
  const rows = Array.from({ length: random.int(1, 4) }, row);
  const columns = types.map((type, index) => ({ name: `column${index + 1}`, type }));
  return { tree: query(sql`VALUES ${list(rows, ', ')}`), columns };
}

function named(scope: Scope, items: readonly Item[], build: (trees: readonly Tree[]) => Tree): Typed {
  const columns = items.map((item) => ({ name: scope.names.next('c'), type: item.type }));
  const trees = items.map((item, index) => sql`${item.tree} AS ${columns[index]!.name}`);
  return { tree: query(build(trees)), columns };
}

type OrderOptions = {
  readonly from?: From;
  readonly distinct?: boolean;
  /** Where expressions to sort by may come from that are no output columns. */
  readonly hiddenKeys?: Scope | undefined;
  /** PostgreSQL hands WITH TIES on to the subquery by which it finds a min() or max(), which then gives several rows. */
  readonly aggregated?: boolean;
};

/** Often an ORDER BY; where LIMIT or DISTINCT ON needs it, a total one. */
function withOrder(scope: Scope, typed: Typed, options: OrderOptions = {}): Typed {
  const { random } = scope;
  const { from, distinct = false, hiddenKeys } = options;
  const width = widthOf(typed.tree) ?? 0;
  const lock =
    from?.lockable && !distinct && random.chance(0.03) && scope.outer.length === 0 && scope.sources.length === 0;
  const tail = lock && from.sources.length < 3 ? optional(random.pick([' FOR UPDATE', ' FOR SHARE'])) : '';
  if (width === 0 || !random.chance(0.5)) return { ...typed, tree: { ...typed.tree, tail } };
  const all = random.shuffled(Array.from({ length: width }, (_, column) => column));
  const direction = () => random.pick(['', '', 'DESC', 'NULLS FIRST', 'DESC NULLS LAST']);
  if (random.chance(0.3)) {
    const some = all.slice(0, random.int(1, width)).map((column): Ordering => ({ column, direction: direction() }));
    return { ...typed, tree: { ...typed.tree, order: some, tail } };
  }
  const distinctOnFirst = !distinct && tail === '' && random.chance(0.12);
  const columns = distinctOnFirst ? [0, ...all.filter((column) => column !== 0)] : all;
  const order = columns.map((column): Ordering => ({ column, direction: direction() }));
  const limit = random.chance(0.6) ? limitClause(scope, options.aggregated !== true) : '';
  const hiddenKey =
    hiddenKeys !== undefined && random.chance(0.12) ? expression(hiddenKeys, random.pick(['int', 'text'])) : '';
  return { ...typed, tree: { ...typed.tree, order, hiddenKey, limit, distinctOnFirst, tail } };
}

function limitClause(scope: Scope, ties: boolean): Tree {
  const { random } = scope;
  const count: Tree = scope.inline
    ? String(random.int(1, 20))
    : { kind: 'value', text: String(random.int(0, 20)), type: 'bigint', cast: false };
  const offset: Tree = random.chance(0.3) ? optional(` OFFSET ${random.int(0, 8)}`) : '';
  return random.pick([
    sql`LIMIT ${count}${offset}`,
    sql`LIMIT ${count}${offset}`,
    sql`LIMIT ${count}${offset}`,
    sql`LIMIT ${smallNumber(scope)}${offset}`,
    'LIMIT ALL OFFSET 2',
    sql`OFFSET 3 ROWS FETCH FIRST 5 ROWS ONLY`,
    // Ties in all output columns are alike.
    ties ? 'FETCH FIRST 4 ROWS WITH TIES' : 'FETCH FIRST 4 ROWS ONLY',
  ]);
}

/** WITH one to three common table expressions, sometimes a recursive one, each able to read the ones before it. */
function withClause(scope: Scope): { tree: Tree; relations: Relation[] } {
  const { random } = scope;
  const found: Relation[] = [];
  const trees: Tree[] = [];
  let recursive = false;
  for (let count = random.int(1, 2); count > 0; count--) {
    const name = scope.names.next('w');
    const inner = { ...deeper(scope), ctes: [...scope.ctes, ...found] };
    const loop = random.chance(0.25);
    const made = loop ? recursiveQuery(inner, name) : anyQuery(inner);
    const materialized = loop ? '' : random.pick(['', '', ' MATERIALIZED', ' NOT MATERIALIZED']);
    recursive ||= loop;
    const names = made.columns.map((column) => column.name);
    trees.push(sql`${name}${loop ? ` (${names.join(', ')})` : ''} AS${materialized} (${made.tree})`);
    found.push({ name, columns: made.columns, unique: names, keyed: false, lockable: false });
  }
  return { tree: sql`WITH ${recursive ? 'RECURSIVE ' : ''}${list(trees, ', ')}`, relations: found };
}

function recursiveQuery(scope: Scope, name: string): Typed {
  const { random } = scope;
  const columns: ColumnDefinition[] = [
    { name: 'id', type: 'int' },
    { name: 'lvl', type: 'int' },
  ];
  const most = String(random.int(1, 3));
  const start = sql`SELECT t.id, 0 FROM ${random.pick(['h_int', 'ref_a', 'r_int', 'loc_a'])} t WHERE t.id IN (1, 2, ${literal(scope, 'int')})`;
  const step = random.pick([
    sql`SELECT r.id + 1, r.lvl + 1 FROM ${name} r WHERE r.lvl < ${most}`,
    sql`SELECT c.id, r.lvl + 1 FROM ${name} r JOIN h_child c ON c.h_id = r.id WHERE r.lvl < ${most}`,
    sql`SELECT c.a, r.lvl + 1 FROM ${name} r JOIN h_int c ON c.id = r.id WHERE r.lvl < ${most}`,
    sql`SELECT c.id, r.lvl + 1 FROM ${name} r, r_int c WHERE c.a = r.id AND r.lvl < ${most} AND EXISTS (SELECT 1 FROM h_pair p WHERE p.p = c.k)`,
  ]);
  const tree = sql`${start} ${random.pick(['UNION', 'UNION ALL'])} ${step}`;
  return { tree: query(tree), columns };
}

/** `SELECT *` over joins: what the star stands for is the server's to say, and no order is asked for. */
export function starRead(scope: Scope): Tree {
  const { random } = scope;
  const from = fromClause(scope);
  const star = random.chance(0.6) ? '*' : `${random.pick(from.sources).alias}.*`;
  return sql`SELECT ${star} FROM ${from.tree}${whereClause(scopeOver(scope, from))}`;
}

/** A single table read whole or by its key: the statements that routing decides on. */
export function tableRead(scope: Scope, relation: Relation): Tree {
  const { random } = scope;
  const source: Scope = {
    ...scope,
    sources: [{ alias: relation.name, columns: relationColumns(relation), unique: [], keyed: false }],
  };
  const columns = random.chance(0.5) ? '*' : relation.columns.map((column) => column.name).join(', ');
  const lock = relation.lockable && random.chance(0.06) ? optional(' FOR UPDATE') : '';
  return sql`SELECT ${columns} FROM ${relation.name}${whereClause(source, 0.9)}${lock}`;
}

export function relationColumns(relation: Relation): Column[] {
  return relation.columns.map(({ name, type }) => ({ name, type, sql: `${relation.name}.${name}` }));
}
