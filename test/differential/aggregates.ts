import { expression, leaf } from './expressions.ts';
import { predicate } from './predicates.ts';
import { columnsOf, deeper, type Scope } from './scope.ts';
import { scalarSubquery } from './subqueries.ts';
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
    [1, () => plain(sql`${random.pick(['bit_or', 'bit_and', 'bit_xor'])}(${argument('int')})`, 'int')],
    [
      1,
      () =>
        wrapped(
          'round(',
          sql`percentile_cont(0.25) WITHIN GROUP (ORDER BY ${argument('int')})`,
          '::numeric, 2)',
          'num',
        ),
    ],
    [1, () => plain(sql`percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY ${argument('int')} DESC)`, 'arr')],
    [1, () => plain(sql`${random.pick(['rank', 'dense_rank'])}(3) WITHIN GROUP (ORDER BY ${argument('int')})`, 'big')],
    [1, () => plain(sql`array_agg(DISTINCT ${argument('int')})`, 'arr')],
    [1, () => plain(sql`string_agg(DISTINCT ${argument('text')}, ',')`, 'text')],
    [1, () => plain(sql`count(DISTINCT (${argument('int')}, ${argument('text')}))`, 'big')],
    [1, () => plain(sql`min(${argument('int')} + ${argument('int')})`, 'int')],
    [1, () => plain(sql`${random.pick(['max', 'min'])}(${argument('arr')})`, 'arr')],
    [1, () => plain(sql`range_agg(int4range(${argument('int')} % 10, ${argument('int')} % 10 + 20))::text`, 'text')],
    [1, () => wrapped('(', sql`regr_count(${argument('int')}, ${argument('int')})`, ')', 'big')],
    [
      1,
      () => {
        const call = sql`${random.pick(['corr', 'covar_pop', 'regr_avgx'])}(${argument('int')}, ${argument('int')})`;
        return wrapped('round(', call, '::numeric, 4)', 'num');
      },
    ],
    [exactOnly ? 0 : 1, () => plain(sql`stddev_samp(${argument('num')})`, 'num')],
    [1, () => keyedAggregate(scope)],
    [2, () => combined(scope, exactOnly)],
  ])();
}

/** Of what decides the order in which rows are taken, only what is unique. */
function keyedAggregate(scope: Scope): Item {
  const [source] = scope.sources.filter((each) => each.keyed && each.unique[0]?.endsWith('.id'));
  if (source === undefined || scope.sources.length > 1) return { tree: 'count(*)', type: 'big' };
  const keys = source.unique.join(', ');
  const column = scope.random.pick(source.columns.filter(({ type }) => type !== 'float')).sql;
  return scope.random.pick<Item>([
    { tree: `jsonb_object_agg(concat_ws('/', ${keys}), ${column})::text`, type: 'text' },
    { tree: `(array_agg(${column} ORDER BY ${keys}))[1]::text`, type: 'text' },
    { tree: `json_agg(${column} ORDER BY ${keys})::text`, type: 'text' },
    { tree: `string_agg(${column}::text, ',' ORDER BY ${keys})`, type: 'text' },
  ]);
}

/** An expression over two aggregates. */
function combined(scope: Scope, exactOnly: boolean): Item {
  const first = aggregate(scope, exactOnly);
  if (!['int', 'big', 'num'].includes(first.type)) return first;
  return scope.random.pick<Item>([
    { tree: sql`(${first.tree} + count(*))`, type: first.type === 'num' ? 'num' : 'big' },
    { tree: sql`coalesce(${first.tree}, count(*))`, type: first.type === 'num' ? 'num' : 'big' },
    { tree: sql`CASE WHEN count(*) > 3 THEN ${first.tree} END`, type: first.type },
  ]);
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
  if (scope.depth > 0 && random.chance(0.04))
    return [{ tree: scalarSubquery({ ...scope, depth: 0, inline: true }, 'int'), type: 'int' }];
  return random.sample(columns, random.int(1, 3)).map((column): Item => {
    if (random.chance(0.65)) return { tree: column.sql, type: column.type };
    switch (column.type) {
      case 'int':
        return { tree: `(${column.sql} % 3)`, type: 'int' };
      case 'text':
        return { tree: `lower(${column.sql})`, type: 'text' };
      case 'date':
        return { tree: `date_trunc('month', ${column.sql}::timestamp)`, type: 'ts' };
      case 'arr':
        return { tree: `cardinality(${column.sql})`, type: 'int' };
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
    sql`DISTINCT ROLLUP (${list(trees, ', ')}), CUBE (${trees[0]!})`,
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
    () => sql`count(*) >= ${uncorrelatedCount(scope)}`,
    () => sql`count(*) FILTER (WHERE ${predicate(deeper(scope))}) < 5`,
  ])();
  return optional(sql` HAVING ${condition}`);
}

/** A subquery of one small number, tied to nothing around it. */
function uncorrelatedCount(scope: Scope): Tree {
  return sql`(SELECT count(*) % 3 FROM ${scope.random.pick(['h_int', 'r_int', 'ref_a', 'h_child'])} WHERE id < ${String(scope.random.int(2, 60))})`;
}
