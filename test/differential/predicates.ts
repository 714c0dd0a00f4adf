import { expression, leaf } from './expressions.ts';
import { type Column, columnsOf, deeper, literal, type Scope } from './scope.ts';
import { comparedWithAggregate, existsSubquery, inSubquery, quantifiedSubquery } from './subqueries.ts';
import type { ColumnType } from './tables.ts';
import { choice, list, sql, type Tree } from './tree.ts';

const comparable: readonly ColumnType[] = [
  'int',
  'int',
  'int',
  'big',
  'num',
  'text',
  'text',
  'date',
  'ts',
  'tz',
  'mood',
];
const operators = ['=', '=', '=', '<>', '<', '<=', '>', '>='];

/** A condition: one comparison, or some of them under AND, OR and NOT. */
export function predicate(scope: Scope): Tree {
  const { random } = scope;
  if (scope.depth <= 0 || random.chance(0.5)) return comparison(scope);
  const inner = deeper(scope);
  const parts = () => Array.from({ length: random.int(2, 3) }, () => predicate(inner));
  return random.weighted<() => Tree>([
    [4, () => sql`(${list(parts(), ' AND ')})`],
    [3, () => sql`(${list(parts(), ' OR ')})`],
    [1, () => sql`(${notOf(predicate(inner))})`],
    [3, () => existsSubquery(inner)],
    [3, () => inSubquery(inner)],
    [1, () => quantifiedSubquery(inner)],
    [2, () => comparedWithAggregate(inner)],
  ])();
}

function notOf(condition: Tree): Tree {
  return choice(sql`NOT ${condition}`, condition);
}

/** Conditions on one column, often its distribution key: what routing must read rightly. */
function comparison(scope: Scope): Tree {
  const { random } = scope;
  const keys = columnsOf(scope).filter((column) => ['id', 'k', 'p', '"K e y"', 'h_id', 'hid'].includes(column.name));
  if (keys.length > 0 && random.chance(0.45)) return keyCondition(scope, random.pick(keys));
  const columns = columnsOf(scope);
  if (columns.length === 0 || random.chance(0.3)) return generalComparison(scope);
  return columnCondition(scope, random.pick(columns));
}

function keyCondition(scope: Scope, column: Column): Tree {
  const { random } = scope;
  const value = () => literal(scope, column.type, random.chance(0.5));
  const typed = () => literal(scope, column.type);
  const several = () => Array.from({ length: random.int(1, 6) }, typed);
  return random.weighted<() => Tree>([
    [6, () => sql`${column.sql} = ${value()}`],
    [1, () => sql`${value()} = ${column.sql}`],
    [4, () => sql`${column.sql} IN (${list(several(), ', ')})`],
    [2, () => sql`${column.sql} = ANY (ARRAY[${list(several(), ', ')}])`],
    [2, () => sql`${column.sql} BETWEEN ${value()} AND ${value()}`],
    [2, () => sql`${column.sql} >= ${value()}`],
    [1, () => sql`${column.sql} <> ${value()}`],
    [1, () => sql`${column.sql} IS NULL`],
    [1, () => sql`${column.sql} IS NOT DISTINCT FROM ${typed()}`],
    [1, () => sql`(${column.sql} = ${value()} OR ${column.sql} = ${value()})`],
    [1, () => sql`${column.sql} = ${expression(deeper(scope), column.type)}`],
    [1, () => sql`${column.sql} NOT IN (${list(several(), ', ')})`],
    [1, () => sql`(${column.sql} = ${value()}) IS TRUE`],
    [1, () => sql`NOT (${column.sql} <> ${value()})`],
    [1, () => sql`${column.sql}::text = '5'`],
    [1, () => sql`(${column.sql}, ${leaf(scope, 'int')}) = (${typed()}, ${leaf(scope, 'int')})`],
    [1, () => sql`(${column.sql}, true) IN ((${typed()}, true), (${typed()}, false))`],
    [1, () => disguised(scope, column)],
  ])();
}

/** Looks like a pinned key, and is one or isn't by PostgreSQL's rules of operators and collations. */
function disguised(scope: Scope, { sql: name, type }: Column): Tree {
  const { random } = scope;
  switch (type) {
    case 'int':
    case 'big':
      return random.pick([
        `${name} = 5.0`,
        `${name} = 2.5`,
        `${name} = 5::smallint`,
        `${name} = 5::float8`,
        `${name} + 0 = 5`,
        `${name} = ANY ('{1,2,NULL}'::bigint[])`,
        `${name} = 9999999999`,
        `${name} > 4.5 AND ${name} < 5.5`,
      ]);
    case 'text':
      return random.pick([
        `${name} = 'a'::varchar(5)`,
        `${name} = 'ab'::char(2)`,
        `${name} = 'a'::name`,
        `${name} COLLATE "C" = 'é'`,
        `${name} LIKE 'a'`,
        `lower(${name}) = 'a'`,
        `${name} = ANY ('{a,NULL,日本}')`,
      ]);
    default:
      return `${name} IS NOT NULL`;
  }
}

function columnCondition(scope: Scope, column: Column): Tree {
  const { random } = scope;
  const value = () => {
    const found = random.chance(0.5) ? literal(scope, column.type) : leaf(scope, column.type);
    return found === column.sql ? literal(scope, column.type) : found;
  };
  const general: (readonly [number, () => Tree])[] = [
    [3, () => sql`${column.sql} ${random.pick(operators)} ${value()}`],
    [1, () => sql`${column.sql} IS NULL`],
    [2, () => sql`${column.sql} IS NOT NULL`],
    [1, () => sql`${column.sql} IS DISTINCT FROM ${value()}`],
    [1, () => sql`${column.sql} IN (${list([value(), value()], ', ')})`],
  ];
  return random.weighted([...general, ...ownConditions(scope, column)])();
}

function ownConditions(scope: Scope, { type, sql: name }: Column): (readonly [number, () => Tree])[] {
  const { random } = scope;
  switch (type) {
    case 'text':
      return [
        [2, () => sql`${name} LIKE ${random.pick(["'%a%'", "'_'", "'Z%'", "'%\\%%'"])}`],
        [1, () => sql`${name} ILIKE '%A%'`],
        [1, () => sql`${name} ~ '^[a-zé]+$'`],
      ];
    case 'bool':
      return [
        [3, () => name],
        [1, () => sql`${name} IS NOT TRUE`],
      ];
    case 'arr':
      return [
        [2, () => sql`${leaf(scope, 'int')} = ANY (${name})`],
        [1, () => sql`${name} @> ${literal(scope, 'arr')}`],
        [1, () => sql`${name} && ARRAY[1, 5]`],
      ];
    case 'json':
      return [
        [2, () => sql`${name} ? 'x'`],
        [1, () => sql`${name} @> '{"x": 1}'`],
        [1, () => sql`(${name} ->> 'x') = '2'`],
      ];
    case 'date':
      return [[2, () => sql`${name} BETWEEN date '2020-01-01' AND ${literal(scope, 'date')}`]];
    default:
      return [];
  }
}

function generalComparison(scope: Scope): Tree {
  const { random } = scope;
  const type = random.pick(comparable);
  const inner = deeper(scope);
  if (random.chance(0.1))
    return sql`(${leaf(scope, 'int')}, ${leaf(scope, 'text')}) ${random.pick(operators)} (${leaf(scope, 'int')}, ${leaf(scope, 'text')})`;
  return sql`${expression(inner, type)} ${random.pick(operators)} ${expression(inner, type)}`;
}
