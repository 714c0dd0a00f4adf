import { expression, leaf } from './expressions.ts';
import { predicate } from './predicates.ts';
import { columnsOf, deeper, type Scope } from './scope.ts';
import type { ColumnType } from './tables.ts';
import { choice, list, optional, sql, type Tree } from './tree.ts';

export type Item = { readonly tree: Tree; readonly type: ColumnType };

/** Results of any size that don't enter further arithmetic: `exact` ones also keep one printed form for equal values. */
export function aggregate(scope: Scope, exactOnly: boolean): Item {
  const { random } = scope;
  const inner = deeper(scope);
  const argument = (type: ColumnType) => (random.chance(0.75) ? leaf(inner, type) : expression(inner, type));
  const any = () => argument(random.pick<ColumnType>(['int', 'text', 'num', 'date', 'bool', 'mood']));
  const distinct = random.chance(0.2) ? 'DISTINCT ' : '';
  const ordered = random.pick<ColumnType>(['int', 'text', 'num', 'date', 'ts', 'big', 'tz', 'mood']);
  const filter = random.chance(0.2) ? optional(sql` FILTER (WHERE ${predicate(inner)})`) : '';
  const plain = (tree: Tree, type: ColumnType): Item => ({ tree: choice(sql`${tree}${filter}`, tree), type });
  const wrapped = (before: string, tree: Tree, after: string, type: ColumnType): Item => ({
    tree: choice(sql`${before}${tree}${filter}${after}`, sql`${before}${tree}${after}`),
    type,
  });
  return random.weighted<() => Item>([
    [6, () => plain('count(*)', 'big')],
    [3, () => plain(sql`count(${any()})`, 'big')],
    [3, () => plain(sql`count(DISTINCT ${any()})`, 'big')],
    [6, () => plain(sql`sum(${distinct}${argument('int')})`, 'big')],
    [4, () => plain(sql`sum(${distinct}${argument('num')})`, 'num')],
    [1, () => plain(sql`sum(${argument('float')})`, 'float')],
    [2, () => wrapped('(', sql`sum(${argument('big')} % 1000)`, ')::bigint', 'big')],
    [4, () => plain(sql`min(${argument(ordered)})`, ordered)],
    [4, () => plain(sql`max(${argument(ordered)})`, ordered)],
    [3, () => wrapped('round(', sql`avg(${distinct}${argument('int')})`, ', 2)', 'num')],
    [exactOnly ? 0 : 4, () => plain(sql`avg(${argument(random.pick(['int', 'num', 'big']))})`, 'num')],
    [exactOnly ? 0 : 1, () => plain(sql`avg(${argument('float')})`, 'float')],
    [exactOnly ? 0 : 2, () => plain(sql`${random.pick(['stddev', 'var_pop', 'variance'])}(${argument('int')})`, 'num')],
    [1, () => plain(sql`${random.pick(['bool_and', 'bool_or', 'every'])}(${predicate(inner)})`, 'bool')],
    [2, () => orderedAggregate(scope, 'text', (column) => sql`string_agg(${column}, '|'`, 'text')],
    [2, () => orderedAggregate(scope, 'arr', (column) => sql`array_agg(${column}`, 'int')],
    [1, () => orderedAggregate(scope, 'json', (column) => sql`jsonb_agg(${column}`, 'text')],
    [1, () => plain(sql`percentile_disc(0.5) WITHIN GROUP (ORDER BY ${argument('int')})`, 'int')],
    [1, () => plain(sql`mode() WITHIN GROUP (ORDER BY ${argument('text')})`, 'text')],
    [1, () => plain(sql`bit_or(${argument('int')})`, 'int')],
  ])();
}

/** Ordered by its own argument, a plain column: rows that tie are alike. */
function orderedAggregate(scope: Scope, type: ColumnType, call: (argument: Tree) => Tree, of: ColumnType): Item {
  const columns = columnsOf(scope, of);
  if (columns.length === 0) return { tree: 'count(*)', type: 'big' };
  const column = scope.random.pick(columns).sql;
  const direction = scope.random.pick(['', ' DESC', ' NULLS FIRST']);
  return { tree: sql`${call(column)} ORDER BY ${column}${direction})`, type };
}

/** GROUP BY expressions hold no parameter: PostgreSQL must see that the select list repeats them. */
export function groupingItems(scope: Scope): Item[] {
  const { random } = scope;
  const columns = columnsOf(scope).filter((column) => column.type !== 'json' && column.type !== 'float');
  if (columns.length === 0) return [];
  return random.sample(columns, random.int(1, 3)).map((column): Item => {
    if (random.chance(0.65)) return { tree: column.sql, type: column.type };
    switch (column.type) {
      case 'int':
        return { tree: `(${column.sql} % 3)`, type: 'int' };
      case 'text':
        return { tree: `lower(${column.sql})`, type: 'text' };
      case 'date':
        return { tree: `date_trunc('month', ${column.sql}::timestamp)`, type: 'ts' };
      default:
        return { tree: `(${column.sql} IS NULL)`, type: 'bool' };
    }
  });
}

/** GROUP BY in its plain form, or with grouping sets. */
export function groupByClause(scope: Scope, grouping: readonly Item[]): Tree {
  const { random } = scope;
  if (grouping.length === 0) return '';
  const trees = grouping.map((item) => item.tree);
  const plain = sql` GROUP BY ${list(trees, ', ')}`;
  if (!random.chance(0.2)) return plain;
  const sets = trees.map((tree) => sql`(${tree})`);
  const all = sql`(${list(trees, ', ')})`;
  const form = random.pick([
    sql`ROLLUP (${list(trees, ', ')})`,
    sql`CUBE (${list(trees, ', ')})`,
    sql`GROUPING SETS (${list([...sets, all, '()'], ', ')})`,
  ]);
  return choice(sql` GROUP BY ${form}`, plain);
}

export function havingClause(scope: Scope): Tree {
  const { random } = scope;
  if (!random.chance(0.25)) return '';
  const condition = random.pick([
    () => sql`count(*) > ${String(random.int(0, 3))}`,
    () => sql`sum(${leaf(scope, 'int')}) >= ${leaf({ ...scope, sources: [], outer: [] }, 'int')}`,
    () => sql`min(${leaf(scope, 'text')}) IS NOT NULL`,
    () => sql`max(${leaf(scope, 'num')}) <> 1.50 OR count(DISTINCT ${leaf(scope, 'int')}) > 1`,
  ])();
  return optional(sql` HAVING ${condition}`);
}
