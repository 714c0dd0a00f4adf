import type { Change, ChangeContext } from './changes.ts';
import { predicate } from './predicates.ts';
import { anyQuery } from './queries.ts';
import { literal } from './scope.ts';
import { hasNotNull, isKey, returning, tableSource, target, thinned, writableColumns } from './table-writing.ts';
import { type ColumnDefinition, codeOf, type TableDefinition, tables } from './tables.ts';
import { list, optional, sql, type Tree } from './tree.ts';

const maxInserted = 400;

/** The rows of any query, with ids of their own. */
export function insertFromQuery(context: ChangeContext, table: TableDefinition): Change {
  const { scope, ids } = context;
  const inner = anyQuery({ ...scope, depth: 1, inline: true });
  const alias = scope.names.next('q');
  const first = ids.next();
  for (let skipped = 0; skipped < maxInserted; skipped++) ids.next();
  const order = inner.columns.map(({ name }) => `${alias}.${name}`).join(', ');
  const values = writableColumns(table).map((column): Tree => {
    if (column.name === 'id') return `(${first} + row_number() OVER (ORDER BY ${order}))::int`;
    if (column.name === 'code') return 'NULL';
    const from = inner.columns.find(({ type }) => type === column.type);
    return valueFor(context, column, from === undefined ? undefined : `${alias}.${from.name}`);
  });
  const names = writableColumns(table).map((column) => column.name);
  const bare = { ...inner.tree, tail: '' };
  const tree = sql`INSERT INTO ${table.name} (${names.join(', ')}) SELECT ${list(values, ', ', values.length)} FROM (${bare}) AS ${alias} ORDER BY ${order} LIMIT ${String(maxInserted)}${returning(context, table)}`;
  return { tree, label: 'insert from query', table: table.name };
}

/** Something that the column takes, out of a column of its type or out of nothing. */
function valueFor({ scope }: ChangeContext, column: ColumnDefinition, from: string | undefined): Tree {
  const value = (): Tree => literal(scope, column.type);
  if (from === undefined) return value();
  const fitting = column.type === 'int' ? `abs(${from}) % 1000` : column.type === 'num' ? `${from} % 1000` : from;
  return hasNotNull(column) ? sql`coalesce(${fitting}, ${value()})` : fitting;
}

/** Rows go from one table to another, which may live elsewhere. */
export function moveRows(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const to = random.pick(tables.filter((other) => other.name !== table.name && other.name !== 'h_unique'));
  const first = context.ids.next();
  for (let skipped = 0; skipped < 100; skipped++) context.ids.next();
  const values = writableColumns(to).map((column): Tree => {
    if (column.name === 'id') return `${first} + g.id`;
    const from = table.columns.find(({ type, name }) => type === column.type && name !== 'id');
    return valueFor(context, column, from === undefined ? undefined : `g.${from.name}`);
  });
  const names = writableColumns(to).map((column) => column.name);
  const gone = sql`DELETE FROM ${table.name} WHERE id <= 90 AND ${thinned(context.scope, table)} RETURNING *`;
  const tree = sql`WITH gone AS (${gone}) INSERT INTO ${to.name} (${names.join(', ')}) SELECT ${list(values, ', ', values.length)} FROM gone g${returning(context, to)}`;
  return { tree, label: 'move rows', table: table.name, also: [to.name] };
}

/** Two changes in WITH, and a query over what both returned. */
export function changesInCtes(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const other = random.pick(tables.filter(({ name }) => name !== table.name));
  const gone = sql`DELETE FROM ${other.name} WHERE ${thinned(context.scope, other)} RETURNING id`;
  const touched = sql`UPDATE ${table.name} SET ${random.pick(touchable(table))} WHERE id ${random.pick(['<', '>', '='])} ${String(random.int(1, 30))} RETURNING id`;
  const tail = random.pick([
    'SELECT (SELECT count(*) FROM gone) AS g, (SELECT count(*) FROM touched) AS t',
    'SELECT gone.id, touched.id FROM gone FULL JOIN touched ON gone.id = touched.id',
    `SELECT count(*) FROM ${table.name} WHERE id IN (SELECT id FROM touched)`,
  ]);
  const tree = sql`WITH gone AS (${gone}), touched AS (${touched}) ${tail}`;
  return { tree, label: 'changes in CTEs', table: table.name, also: [other.name] };
}

/** Assignments that fit the table and are no keys. */
function touchable(table: TableDefinition): string[] {
  const settable = writableColumns(table).filter(({ name }) => name !== 'id' && !isKeyName(table, name));
  const found = settable.flatMap(({ name, type }) => {
    if (name === 'code') return [];
    if (type === 'int') return [`${name} = coalesce(${name}, 0) % 9 + 1`];
    if (type === 'num') return [`${name} = 2.50`];
    if (type === 'text') return [`${name} = 'tôuched'`];
    if (type === 'date') return [`${name} = date '2020-01-15'`];
    return type === 'big' ? [`${name} = 8`] : [];
  });
  return found.length > 0 ? found : ['id = id'];
}

function isKeyName(table: TableDefinition, name: string): boolean {
  return table.columns.some((column) => column.name === name && isKey(table, column));
}

/** From the groups of another table, which meet each row at most once. */
export function updateFromGroups(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const other = random.pick(tables);
  const numbers = other.columns.filter(({ type }) => type === 'int').map(({ name }) => name);
  const settable = writableColumns(table).find(({ name, type }) => type === 'int' && name === 'a');
  const set = settable === undefined || isKey(table, settable) ? random.pick(touchable(table)) : 'a = o.s % 1000';
  const scope = { ...context.scope, sources: [tableSource(table, table.name)] };
  const groups = `SELECT ${random.pick(numbers)} AS k, count(*)::int AS s FROM ${other.name} GROUP BY 1`;
  const tree = sql`UPDATE ${table.name} SET ${set} FROM (${groups}) o WHERE o.k = ${table.name}.id${optional(sql` AND ${target(scope, table)}`)}${returning(context, table)}`;
  return { tree, label: 'update from groups', table: table.name };
}

/** USING two relations. */
export function deleteUsingTwo(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const [one, two] = random.sample(
    tables.filter(({ name }) => name !== table.name),
    2,
  );
  const sources = [tableSource(table, table.name), tableSource(one!, 'o'), tableSource(two!, 'w')];
  const condition = predicate({ ...context.scope, sources, depth: 1 });
  const tree = sql`DELETE FROM ${table.name} USING ${one!.name} o LEFT JOIN ${two!.name} w ON w.id = o.id WHERE ${thinned(context.scope, table)} AND o.id = ${table.name}.id${optional(sql` AND ${condition}`)}${returning(context, table)}`;
  return { tree, label: 'delete using two', table: table.name };
}

/** MERGE with a source of groups, a condition on the match, and rows inserted for those that met none. */
export function mergeGroups(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const other = random.pick(tables.filter(({ name }) => name !== table.name));
  const first = context.ids.next();
  for (let skipped = 0; skipped < 200; skipped++) context.ids.next();
  const values = writableColumns(table).map((column): Tree => {
    if (column.name === 'id') return `${first} + o.id`;
    if (column.name === 'code') return `'${codeOf(first)}-' || o.id`;
    return column.name === 'a' ? 'o.c % 100' : literal(context.scope, column.type);
  });
  const names = writableColumns(table).map(({ name }) => name);
  const source = `(SELECT id, count(*)::int AS c FROM ${other.name} WHERE id <= 150 GROUP BY id)`;
  const matched = random.pick([
    `WHEN MATCHED AND o.c = 1 THEN UPDATE SET ${random.pick(touchable(table))}`,
    `WHEN MATCHED AND o.id % 5 = 2 THEN DELETE`,
    'WHEN MATCHED THEN DO NOTHING',
  ]);
  const tree = sql`MERGE INTO ${table.name} USING ${source} o ON ${table.name}.id = o.id ${matched} WHEN NOT MATCHED AND o.id % 3 = 0 THEN INSERT (${names.join(', ')}) VALUES (${list(values, ', ', values.length)})`;
  return { tree, label: 'merge groups', table: table.name };
}
