import { aggregate } from './aggregates.ts';
import { leaf } from './expressions.ts';
import { type From, fromClause } from './from.ts';
import { predicate } from './predicates.ts';
import { type Column, columnsOf, deeper, type Scope } from './scope.ts';
import type { ColumnType } from './tables.ts';
import { choice, list, optional, query, select, sql, type Tree } from './tree.ts';

/** `(SELECT …)` of one value; aggregates, or the first row in a total order. */
export function scalarSubquery(scope: Scope, type: 'int' | 'big' | 'num' | 'text' | 'date'): Tree {
  const { random } = scope;
  const { from, where, inner } = correlated(scope);
  const value = () => leaf({ ...inner, outer: [] }, type);
  const number = () => leaf({ ...inner, outer: [] }, 'int');
  if (type === 'big') {
    if (random.chance(0.15))
      return sql`(SELECT count(*) FROM (${groups(inner, from, where)}) AS ${scope.names.next('q')})`;
    if (random.chance(0.1))
      return sql`(SELECT regr_count(${leaf(inner, 'int')}, ${leaf(inner, 'int')}) FROM ${from.tree}${where})`;
    if (random.chance(0.1)) return sql`(SELECT rank(3) WITHIN GROUP (ORDER BY ${number()}) FROM ${from.tree}${where})`;
    return sql`(SELECT count(${random.pick(['*', '*', sql`DISTINCT ${leaf(inner, 'int')}`])}) FROM ${from.tree}${where})`;
  }
  if (random.chance(0.6)) return sql`(SELECT ${random.pick(['max', 'min'])}(${value()}) FROM ${from.tree}${where})`;
  if (type === 'num' && random.chance(0.5)) return sql`(SELECT sum(${value()}) * 0.5 FROM ${from.tree}${where})`;
  if (random.chance(0.15))
    return sql`(SELECT coalesce(max(${value()}), ${leaf(scope, type)}) FROM ${from.tree}${where})`;
  const core = select([value()], sql`FROM ${from.tree}${where}`);
  return sql`(${query(core, { order: [{ column: 0, direction: '' }], limit: 'LIMIT 1' })})`;
}

export function existsSubquery(scope: Scope): Tree {
  const { random } = scope;
  const { from, where, inner } = correlated(scope);
  const plain = random.weighted<() => Tree>([
    [8, () => sql`EXISTS (SELECT 1 FROM ${from.tree}${where})`],
    [2, () => sql`EXISTS (SELECT * FROM ${from.tree}${where})`],
    [1, () => sql`EXISTS (${groups(inner, from, where)})`],
  ])();
  return random.chance(0.35) ? choice(sql`NOT ${plain}`, plain) : plain;
}

export function inSubquery(scope: Scope): Tree {
  const { random } = scope;
  const { from, where, inner } = correlated(scope, 0.3);
  const type = random.pick<ColumnType>(['int', 'int', 'text', 'big', 'date', 'mood']);
  const not = random.chance(0.25) ? 'NOT ' : '';
  return random.weighted<() => Tree>([
    [
      1,
      () =>
        sql`(${leaf(scope, 'int')}, ${leaf(scope, 'text')}) ${not}IN (SELECT ${leaf(inner, 'int')}, ${leaf(inner, 'text')} FROM ${from.tree}${where})`,
    ],
    [8, () => sql`${leaf(scope, type)} ${not}IN (SELECT ${leaf(inner, type)} FROM ${from.tree}${where})`],
    [
      1,
      () =>
        sql`${leaf(scope, type)} ${not}IN (SELECT ${leaf(inner, type)} FROM ${from.tree}${where} GROUP BY 1 HAVING count(*) > 1)`,
    ],
    [1, () => sql`${leaf(scope, 'big')} ${not}IN (SELECT count(*) FROM ${from.tree}${where})`],
  ])();
}

export function quantifiedSubquery(scope: Scope): Tree {
  const { random } = scope;
  const { from, where, inner } = correlated(scope, 0.3);
  const type = random.pick<ColumnType>(['int', 'num', 'text']);
  const operator = random.pick(['= ANY', '> ALL', '<= SOME', '<> ALL']);
  return sql`${leaf(scope, type)} ${operator} (SELECT ${leaf(inner, type)} FROM ${from.tree}${where})`;
}

/** Compares with an aggregate of the rows that belong to this one: what rewrites turn into a join with groups. */
export function comparedWithAggregate(scope: Scope): Tree {
  const { random } = scope;
  const type = random.pick<'int' | 'num' | 'text' | 'date'>(['int', 'num', 'text', 'date']);
  const operator = random.pick(['=', '<', '>=', '<>']);
  return sql`${leaf(scope, type)} ${operator} ${scalarSubquery(scope, type)}`;
}

/** One small number out of tables, for LIMIT and such: no column around it may occur in it. */
export function smallNumber(scope: Scope): Tree {
  const { random } = scope;
  return random.pick<Tree>([
    sql`(SELECT count(*) % 7 FROM ${random.pick(['h_int', 'h_child', 'ref_a', 'r_int', 'loc_a'])})`,
    sql`(SELECT max(id) % 9 FROM ${random.pick(['h_text', 'l_text', 'ref_b', 'r_date'])})`,
  ]);
}

function groups(inner: Scope, from: From, where: Tree): Tree {
  const key = leaf(inner, inner.random.pick<ColumnType>(['int', 'text']));
  const having = aggregate({ ...inner, outer: [] }, true);
  return sql`SELECT 1 FROM ${from.tree}${where} GROUP BY ${typeof key === 'string' ? key : '()'} HAVING ${having.tree} IS NOT NULL`;
}

/** A FROM and WHERE inside an expression, often tied to a row of the query around it. */
function correlated(scope: Scope, probability = 0.65): { from: From; where: Tree; inner: Scope } {
  const { random } = scope;
  // Now and then a subquery within the subquery.
  const depth = random.chance(0.3) ? scope.depth - 1 : Math.min(scope.depth - 1, 0);
  const from = fromClause({ ...deeper(scope), depth: Math.min(scope.depth - 1, 0), sources: [] }, 3);
  const outer = [...columnsOf(scope), ...scope.outer];
  const inner: Scope = { ...scope, depth: 0, sources: from.sources, outer };
  const conditions: Tree[] = [];
  const tie = random.chance(probability) ? correlation(inner, outer) : undefined;
  if (tie !== undefined) conditions.push(tie);
  if (tie !== undefined && random.chance(0.15)) conditions.push(correlation(inner, outer) ?? tie);
  if (random.chance(0.5) && columnsOf(inner).length > 0) conditions.push(predicate({ ...inner, depth }));
  const where = conditions.length === 0 ? '' : optional(sql` WHERE ${list(conditions, ' AND ')}`);
  return { from, where, inner };
}

function correlation(scope: Scope, outer: readonly Column[]): Tree | undefined {
  const { random } = scope;
  const operator = random.weighted([
    [10, '='],
    [1, '<'],
    [1, '<>'],
  ]);
  const pairs = columnsOf(scope).flatMap((own) =>
    outer.filter((other) => other.type === own.type && isTie(own.type)).map((other) => ({ own, other })),
  );
  if (pairs.length === 0) return undefined;
  const { own, other } = random.pick(pairs);
  if (own.type === 'int' && random.chance(0.1)) return `${own.sql} ${operator} ${other.sql} + 1`;
  return random.chance(0.8) ? `${own.sql} ${operator} ${other.sql}` : `${other.sql} ${operator} ${own.sql}`;
}

function isTie(type: ColumnType): boolean {
  return !['json', 'arr', 'float', 'bool'].includes(type);
}
