import type { Item } from './aggregates.ts';
import { leaf } from './expressions.ts';
import { predicate } from './predicates.ts';
import { columnsOf, type Scope } from './scope.ts';
import type { ColumnType } from './tables.ts';
import { sql } from './tree.ts';

/** A window function call; where ties would show, its order is made total by the sources' unique columns. */
export function windowItem(scope: Scope): Item {
  const { random } = scope;
  const total = totalOrder(scope);
  const partition = partitionBy(scope);
  const over = (order: string, frame = '') => sql`OVER (${[partition, order, frame].filter(Boolean).join(' ')})`;
  const type = random.pick<ColumnType>(['int', 'text', 'num', 'date']);
  const argument = leaf({ ...scope, outer: [] }, type);
  const peers = peerOrder(scope);
  const frame = random.pick([
    'ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING',
    'ROWS UNBOUNDED PRECEDING',
    'ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING',
    'GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW',
    'ROWS BETWEEN 2 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW',
    'RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW',
    'GROUPS BETWEEN CURRENT ROW AND 1 FOLLOWING EXCLUDE TIES',
  ]);
  return random.weighted<() => Item>([
    [4, () => ({ tree: sql`row_number() ${over(total)}`, type: 'big' })],
    [3, () => ({ tree: sql`${random.pick(['rank', 'dense_rank'])}() ${over(peers)}`, type: 'big' })],
    [1, () => ({ tree: sql`ntile(3) ${over(total)}`, type: 'int' })],
    [3, () => ({ tree: sql`${random.pick(['lag', 'lead'])}(${argument}) ${over(total)}`, type })],
    [2, () => ({ tree: sql`${random.pick(['first_value', 'last_value'])}(${argument}) ${over(total, frame)}`, type })],
    [3, () => ({ tree: sql`count(*) ${over(peers)}`, type: 'big' })],
    [3, () => ({ tree: sql`sum(${leaf({ ...scope, outer: [] }, 'int')}) ${over(total, frame)}`, type: 'big' })],
    [2, () => ({ tree: sql`min(${leaf({ ...scope, outer: [] }, 'num')}) ${over('')}`, type: 'num' })],
    [2, () => ({ tree: sql`max(${argument}) ${over(peers)}`, type })],
    [1, () => ({ tree: sql`nth_value(${argument}, 2) ${over(total)}`, type })],
    [
      1,
      () => ({
        tree: sql`round(${random.pick(['percent_rank', 'cume_dist'])}() ${over(peers)}::numeric, 4)`,
        type: 'num',
      }),
    ],
    [
      2,
      () => ({
        tree: sql`count(*) FILTER (WHERE ${predicate({ ...scope, depth: 0, outer: [] })}) ${over(peers)}`,
        type: 'big',
      }),
    ],
    [
      1,
      () => ({
        tree: sql`(sum(${leaf({ ...scope, outer: [] }, 'int')}) ${over('')} - ${leaf({ ...scope, outer: [] }, 'int')})`,
        type: 'big',
      }),
    ],
    [1, () => ranged(scope, partition)],
    [
      1,
      () => ({
        tree: sql`array_agg(${leaf({ ...scope, outer: [] }, 'int')}) ${over(total, 'ROWS 1 PRECEDING')}`,
        type: 'arr',
      }),
    ],
  ])();
}

/** RANGE with an offset: over one column of a type that can be reckoned with. */
function ranged(scope: Scope, partition: string): Item {
  const columns = columnsOf(scope).filter((column) => column.type === 'int' || column.type === 'date');
  if (columns.length === 0) return { tree: 'count(*) OVER ()', type: 'big' };
  const column = scope.random.pick(columns);
  const step = column.type === 'int' ? '2' : "'10 days'";
  const order = `${partition} ORDER BY ${column.sql} RANGE BETWEEN ${step} PRECEDING AND ${step} FOLLOWING`;
  return { tree: `count(*) OVER (${order})`, type: 'big' };
}

function partitionBy(scope: Scope): string {
  const columns = columnsOf(scope).filter((column) => column.type !== 'json');
  return columns.length > 0 && scope.random.chance(0.6)
    ? `PARTITION BY ${scope.random
        .sample(columns, scope.random.chance(0.25) ? 2 : 1)
        .map((column) => column.sql)
        .join(', ')}`
    : '';
}

function peerOrder(scope: Scope): string {
  const columns = columnsOf(scope).filter((column) => ['int', 'text', 'date', 'num', 'mood'].includes(column.type));
  const direction = scope.random.pick(['', ' DESC', ' NULLS FIRST']);
  return columns.length === 0 ? '' : `ORDER BY ${scope.random.pick(columns).sql}${direction}`;
}

function totalOrder(scope: Scope): string {
  const keys = scope.sources.flatMap((source) => source.unique);
  const columns = columnsOf(scope).filter((column) => ['int', 'text', 'date'].includes(column.type));
  const first = columns.length > 0 && scope.random.chance(0.6) ? [scope.random.pick(columns).sql] : [];
  return `ORDER BY ${[...first, ...keys].join(', ')}`;
}
