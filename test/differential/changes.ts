import {
  changesInCtes,
  deleteUsingTwo,
  insertFromQuery,
  mergeGroups,
  moveRows,
  updateFromGroups,
} from './changes-by-queries.ts';
import { expression } from './expressions.ts';
import { predicate } from './predicates.ts';
import { literal, type Scope } from './scope.ts';
import {
  hasNotNull,
  isKey,
  isRequired,
  returning,
  tableSource,
  target,
  thinned,
  writableColumns,
} from './table-writing.ts';
import {
  type ColumnDefinition,
  codeOf,
  firstFreeId,
  initialRows,
  sqlTypes,
  type TableDefinition,
  tables,
  uuidOf,
} from './tables.ts';
import { choice, list, optional, sql, type Tree } from './tree.ts';

/** A statement that writes, and the table that it writes to. */
export type Change = {
  readonly tree: Tree;
  readonly label: string;
  readonly table: string;
  /** Other tables that it writes to. */
  readonly also?: readonly string[];
};

/** Ids that no row has yet. */
export type FreeIds = { next(): number };

export function createFreeIds(): FreeIds {
  let last = firstFreeId;
  return { next: () => last++ };
}

export type ChangeContext = { readonly scope: Scope; readonly ids: FreeIds; readonly seed: number };

export function anyChange(context: ChangeContext): Change {
  const { random } = context.scope;
  const table = random.pick(tables);
  const make = random.weighted<(context: ChangeContext, table: TableDefinition) => Change>([
    [22, insertValues],
    [8, insertSelect],
    [table.conflict.length > 0 ? 14 : 0, insertOnConflict],
    [24, updateRows],
    [6, updateFrom],
    [14, deleteRows],
    [4, deleteFirst],
    [4, updateRow],
    [4, deleteUsing],
    [table.conflict.length > 0 ? 4 : 0, mergeRows],
    [5, changeInCte],
    [4, changeByMatch],
    [table.name === 'h_int' ? 12 : 0, mergeWithInsert],
    [4, updateKey],
    [6, insertFromQuery],
    [3, moveRows],
    [3, changesInCtes],
    [4, updateFromGroups],
    [3, deleteUsingTwo],
    [3, mergeGroups],
    [5, violate],
  ]);
  return make(context, table);
}

function insertValues(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const columns = writableColumns(table).filter((column) => isRequired(column) || random.chance(0.8));
  const count = random.weighted([
    [5, 1],
    [3, random.int(2, 5)],
  ]);
  const row = () => {
    const id = context.ids.next();
    return sql`(${list(
      columns.map((column) => insertedValue(context, table, column, id)),
      ', ',
      columns.length,
    )})`;
  };
  const rows = Array.from({ length: count }, row);
  const names = columns.map((column) => column.name).join(', ');
  const tree = sql`INSERT INTO ${table.name} (${names}) VALUES ${list(rows, ', ')}${returning(context, table)}`;
  return { tree, label: count === 1 ? 'insert one' : 'insert several', table: table.name };
}

function insertedValue({ scope }: ChangeContext, table: TableDefinition, column: ColumnDefinition, id: number): Tree {
  const { random } = scope;
  if (column.name === 'id') return idValue(id);
  if (table.name === 'h_uuid' && column.name === 'k' && random.chance(0.6)) return `'${uuidOf(id)}'`;
  if (column.name === 'code') return random.chance(0.85) ? `'${codeOf(id)}'` : `'${codeOf(random.int(1, 40))}'`;
  if (!isRequired(column)) {
    if (random.chance(0.1)) return 'NULL';
    if (random.chance(0.1)) return 'DEFAULT';
    if (column.name !== 'a' && random.chance(0.12))
      return choice(expression(scopeWithout(scope), column.type), literal(scope, column.type));
  }
  return literal(scope, column.type, random.chance(0.4));
}

function idValue(id: number): Tree {
  return { kind: 'value', text: String(id), type: 'integer', cast: true };
}

/** From the rows that every table starts with, so that the new ids can be told beforehand. */
function insertSelect(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const from = random.pick(tables);
  const scope = { ...context.scope, sources: [tableSource(from, 's')], depth: 1 };
  const columns = writableColumns(table);
  const first = context.ids.next();
  for (let skipped = 0; skipped < 100; skipped++) context.ids.next();
  const values = columns.map((column) => {
    if (column.name === 'id') return `s.id + ${first}`;
    if (column.name === 'a') return sql`abs(${expression({ ...scope, depth: 0 }, 'int')})`;
    if (column.name === 'code') return `'${codeOf(first)}-' || s.id`;
    const value = expression(scope, column.type);
    return isRequired(column) || hasNotNull(column) ? sql`coalesce(${value}, ${literal(scope, column.type)})` : value;
  });
  const names = columns.map((column) => column.name).join(', ');
  const where = optional(sql` AND ${predicate(scope)}`);
  const tree = sql`INSERT INTO ${table.name} (${names}) SELECT ${list(values, ', ', values.length)} FROM ${from.name} s WHERE s.id <= 100${where}${returning(context, table)}`;
  return { tree, label: 'insert select', table: table.name };
}

function insertOnConflict(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const columns = writableColumns(table);
  const known = initialRows(table, context.seed);
  const conflicting = random.sample(known, random.int(1, 2)).map((cells) => sql`(${existingRow(columns, cells)})`);
  const id = context.ids.next();
  const fresh = sql`(${list(
    columns.map((column) => insertedValue(context, table, column, id)),
    ', ',
    columns.length,
  )})`;
  const rows = random.chance(0.6) ? [...conflicting, fresh] : conflicting;
  const settable = columns.filter((column) => !table.conflict.includes(column.name) && !isKey(table, column));
  const names = columns.map((column) => column.name).join(', ');
  const target = table.conflict.join(', ');
  const update = () => {
    const sets = random.sample(settable, random.int(1, 2)).map((column) => conflictAssignment(context, table, column));
    const where = random.pick(['', '', ` WHERE ${table.name}.id % 2 = 0`, ' WHERE excluded.id > 20']);
    return sql`(${target}) DO UPDATE SET ${list(sets, ', ')}${optional(where)}`;
  };
  const nothing = random.pick([`(${target}) DO NOTHING`, 'DO NOTHING']);
  const action = settable.length > 0 && random.chance(0.6) ? update() : nothing;
  const tree = sql`INSERT INTO ${table.name} (${names}) VALUES ${list(rows, ', ')} ON CONFLICT ${action}${returning(context, table)}`;
  return { tree, label: 'insert on conflict', table: table.name };
}

function conflictAssignment({ scope }: ChangeContext, table: TableDefinition, { name, type }: ColumnDefinition): Tree {
  const old = `${table.name}.${name}`;
  if (type === 'int' && scope.random.chance(0.3)) return `${name} = coalesce(${old}, 0) % 90 + 1`;
  if (scope.random.chance(0.15)) return sql`${name} = coalesce(${old}, excluded.${name})`;
  return `${name} = excluded.${name}`;
}

function existingRow(columns: readonly ColumnDefinition[], cells: readonly (string | null)[]): Tree {
  const values = columns.map(
    (column, index): Tree => ({
      kind: 'value',
      text: cells[index] ?? null,
      type: sqlTypes[column.type],
      cast: true,
    }),
  );
  return list(values, ', ', values.length);
}

function updateRows(context: ChangeContext, table: TableDefinition): Change {
  const scope = { ...context.scope, sources: [tableSource(table, table.name)] };
  const tree = sql`UPDATE ${table.name} SET ${assignments(context, table, scope)} WHERE ${target(scope, table)}${returning(context, table)}`;
  return { tree, label: 'update', table: table.name };
}

/** The other relation is joined by its unique id: each row meets at most one. */
function updateFrom(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const other = random.pick(tables.filter((candidate) => candidate.name !== table.name));
  const scope = { ...context.scope, sources: [tableSource(table, table.name), tableSource(other, 'o')], depth: 1 };
  const tree = sql`UPDATE ${table.name} SET ${assignments(context, table, scope)} FROM ${other.name} o WHERE o.id = ${table.name}.id${optional(sql` AND ${predicate(scope)}`)}${returning(context, table)}`;
  return { tree, label: 'update from', table: table.name };
}

function assignments(context: ChangeContext, table: TableDefinition, scope: Scope): Tree {
  const { random } = context.scope;
  const settable = writableColumns(table).filter((column) => column.name !== 'id' && !isKey(table, column));
  const sets = random.sample(settable, random.int(1, 2)).map((column) => {
    if (column.extra?.includes('DEFAULT') && random.chance(0.1)) return `${column.name} = DEFAULT`;
    if (column.name === 'code')
      return `code = ${random.pick([`'${codeOf(random.int(1, 40))}'`, "code || 'x'", 'NULL', 'code'])}`;
    return sql`${column.name} = ${assignedValue(column, scope)}`;
  });
  return list(sets, ', ');
}

function assignedValue(column: ColumnDefinition, scope: Scope): Tree {
  const value = expression({ ...scope, depth: 1 }, column.type);
  if (column.name === 'a') return sql`abs(${value}) % 1000`;
  if (column.type === 'num') return sql`coalesce(${value}, 0.00) % 1000`;
  return hasNotNull(column) ? sql`coalesce(${value}, ${literal(scope, column.type)})` : value;
}

function deleteRows(context: ChangeContext, table: TableDefinition): Change {
  const scope = { ...context.scope, sources: [tableSource(table, table.name)] };
  const tree = sql`DELETE FROM ${table.name} WHERE ${thinned(scope, table)} AND ${target(scope, table)}${returning(context, table)}`;
  return { tree, label: 'delete', table: table.name };
}

/** Which rows go is told by a query over the same table. */
function deleteFirst(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const direction = random.pick(['', ' DESC']);
  const chosen = `SELECT id FROM ${table.name} ORDER BY id${direction} LIMIT ${random.int(1, 3)}`;
  const tree = sql`DELETE FROM ${table.name} WHERE id IN (${chosen})${returning(context, table)}`;
  return { tree, label: 'delete by subquery', table: table.name };
}

/** Two columns at once, from a row or a subquery. */
function updateRow(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const scope = { ...context.scope, sources: [tableSource(table, table.name)], depth: 1 };
  const settable = writableColumns(table).filter(
    (column) => !['id', 'code'].includes(column.name) && !isKey(table, column),
  );
  const [first, second] = random.sample(settable, 2);
  if (first === undefined || second === undefined) return updateRows(context, table);
  const names = `${first.name}, ${second.name}`;
  const values = sql`${assignedValue(first, scope)}, ${assignedValue(second, scope)}`;
  const source = random.chance(0.5) ? sql`ROW (${values})` : sql`(SELECT ${values})`;
  const tree = sql`UPDATE ${table.name} SET (${names}) = ${source} WHERE ${target(scope, table)}${returning(context, table)}`;
  return { tree, label: 'update a row', table: table.name };
}

function deleteUsing(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const other = random.pick(tables.filter((candidate) => candidate.name !== table.name));
  const scope = { ...context.scope, sources: [tableSource(table, table.name), tableSource(other, 'o')], depth: 1 };
  const tree = sql`DELETE FROM ${table.name} USING ${other.name} o WHERE ${thinned(scope, table)} AND o.id = ${table.name}.id AND ${predicate(scope)}${returning(context, table)}`;
  return { tree, label: 'delete using', table: table.name };
}

function mergeRows(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const source = random.pick(tables.filter((candidate) => candidate.name !== table.name));
  const scope = { ...context.scope, sources: [tableSource(table, table.name), tableSource(source, 'o')], depth: 1 };
  const set = assignments(context, table, scope);
  const matched = random.pick([sql`UPDATE SET ${set}`, sql`UPDATE SET ${set}`, 'DELETE', 'DO NOTHING']);
  const tree = sql`MERGE INTO ${table.name} USING ${source.name} o ON ${table.name}.id = o.id WHEN MATCHED AND o.id % 4 = 1 THEN ${matched}`;
  return { tree, label: 'merge', table: table.name };
}

/** The rows, or what they are set to, are told by a correlated subquery over another table. */
function changeByMatch(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const other = random.pick(tables);
  const scope = { ...context.scope, sources: [tableSource(table, table.name), tableSource(other, 'o')], depth: 0 };
  const match = sql`o.id = ${table.name}.id + ${String(random.int(-3, 3))}${optional(sql` AND ${predicate(scope)}`)}`;
  const column = table.columns.find(({ name }) => name === 'a' || name === 'd');
  if (column === undefined || isKey(table, column) || random.chance(0.4)) {
    const negated = random.pick(['', 'NOT ']);
    const tree = sql`DELETE FROM ${table.name} WHERE ${thinned(scope, table)} AND ${negated}EXISTS (SELECT 1 FROM ${other.name} o WHERE ${match})${returning(context, table)}`;
    return { tree, label: 'delete by match', table: table.name };
  }
  const value = column.name === 'a' ? 'max(o.id)' : "date '2020-01-01' + max(o.id)::int";
  const tree = sql`UPDATE ${table.name} SET ${column.name} = (SELECT ${value} FROM ${other.name} o WHERE ${match}) WHERE ${target(scope, table)}${returning(context, table)}`;
  return { tree, label: 'update by match', table: table.name };
}

/** Joined on the distribution column: rows that match none are inserted. */
function mergeWithInsert(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const source = random.pick(tables.filter((candidate) => candidate.name !== table.name));
  const scope = { ...context.scope, sources: [tableSource(table, table.name), tableSource(source, 'o')], depth: 1 };
  const shift = random.int(0, 40);
  const from = random.pick([source.name, `(SELECT * FROM ${source.name} WHERE id > ${shift})`]);
  const matched = random.pick([
    sql` WHEN MATCHED THEN UPDATE SET ${assignments(context, table, scope)}`,
    ' WHEN MATCHED AND o.id % 4 = 1 THEN DELETE',
    ' WHEN MATCHED THEN DO NOTHING',
    '',
  ]);
  const bySource = random.chance(0.2) ? ` WHEN NOT MATCHED BY SOURCE AND ${thinned(scope, table)} THEN DELETE` : '';
  const inserted = ' WHEN NOT MATCHED THEN INSERT (id, a) VALUES (o.id, o.id % 5)';
  const returned = random.chance(0.3) ? ` RETURNING merge_action(), ${table.name}.id, o.id AS other` : '';
  const tree = sql`MERGE INTO ${table.name} USING ${from} o ON ${table.name}.id = o.id${matched}${bySource}${inserted}${returned}`;
  return { tree, label: 'merge with insert', table: table.name };
}

function changeInCte(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const inner = random.pick([updateRows, deleteRows, insertValues])(context, table);
  const bare = withoutReturning(inner.tree);
  const tail = random.pick([
    'SELECT count(*), min(id), max(id) FROM changed',
    'SELECT changed.id, ref_a.t FROM changed LEFT JOIN ref_a ON ref_a.id = changed.id % 20',
  ]);
  return { tree: sql`WITH changed AS (${bare} RETURNING id) ${tail}`, label: 'change in CTE', table: table.name };
}

function withoutReturning(tree: Tree): Tree {
  if (typeof tree === 'string' || tree.kind !== 'sequence') return tree;
  const parts = tree.parts.filter(
    (part) => !(typeof part === 'object' && part.kind === 'optional' && isReturning(part.part)),
  );
  return { ...tree, parts };
}

function isReturning(tree: Tree): boolean {
  if (typeof tree === 'string') return tree.startsWith(' RETURNING');
  return tree.kind === 'sequence' && isReturning(tree.parts[0] ?? '');
}

/** Moves rows from shard to shard. */
function updateKey(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const { distribution } = table;
  const key = 'column' in distribution ? random.pick(distribution.column.split(', ')) : 'a';
  const column = table.columns.find(({ name }) => name === key);
  if (column === undefined || key === 'id') return updateRows(context, table);
  const rows = `id ${random.pick(['=', '=', '<='])} ${random.int(1, 40)}`;
  const tree = sql`UPDATE ${table.name} SET ${key} = ${literal(context.scope, column.type)} WHERE ${rows}${returning(context, table)}`;
  return { tree, label: 'update key', table: table.name };
}

/** Breaks a constraint, in one way only: which of two errors comes first would be a matter of luck. */
function violate(context: ChangeContext, table: TableDefinition): Change {
  const { random } = context.scope;
  const id = context.ids.next();
  const fallback = `UPDATE ${table.name} SET id = NULL WHERE id <= 5`;
  const all: Readonly<Record<string, readonly string[]>> = {
    h_int: [
      'INSERT INTO h_int (id, a) SELECT id, 1 FROM h_int',
      `INSERT INTO h_int (id, a) VALUES (${id}, -1)`,
      `INSERT INTO h_int (id, a) VALUES (${id}, 5), (${id}, 6)`,
      `INSERT INTO h_int (id, d) VALUES (${id}, '2020-02-30')`,
      'UPDATE h_int SET a = -1 - a WHERE a IS NOT NULL',
      'UPDATE h_int SET a = a / (a - a) WHERE a > 3',
      `INSERT INTO h_int (id, m) VALUES (${id}, 'furious')`,
    ],
    h_child: [
      'UPDATE h_child SET n = NULL',
      `INSERT INTO h_child (id, h_id, n) VALUES (${id}, 3, NULL)`,
      `INSERT INTO h_child (id, h_id, n) VALUES (${id}, 3, 1e11)`,
      `INSERT INTO h_child (id, h_id) VALUES (${id}, 4), (${id}, 4)`,
    ],
    h_text: [
      `INSERT INTO h_text (k, id) VALUES (NULL, ${id})`,
      `INSERT INTO h_text (k, id, g) VALUES ('a', ${id}, 1)`,
      `INSERT INTO h_text (k, id) VALUES ('é', ${id}), ('é', ${id})`,
    ],
    ref_a: ['INSERT INTO ref_a (id) SELECT id FROM ref_a', `INSERT INTO ref_a (id, a) VALUES (${id}, 'x'::text::int)`],
    h_unique: [
      `INSERT INTO h_unique (id, code) VALUES (${id}, 'same'), (${id + 1}, 'same')`,
      "UPDATE h_unique SET code = 'same'",
      "UPDATE h_unique SET code = 'ç1' WHERE code = 'ç2'",
      `INSERT INTO h_unique (id, code) SELECT ${id} + id, code FROM h_unique WHERE id < 5`,
    ],
    loc_a: ['INSERT INTO loc_a (id) VALUES (NULL)', `INSERT INTO loc_a (id, a) VALUES (${id}, 1 / 0)`],
    r_int: [
      `INSERT INTO r_int (k, id) VALUES (NULL, ${id})`,
      `INSERT INTO r_int (k, id) VALUES (5, ${id}), (5, ${id})`,
    ],
  };
  return { tree: random.pick(all[table.name] ?? [fallback]), label: 'violate', table: table.name };
}

function scopeWithout(scope: Scope): Scope {
  return { ...scope, sources: [], outer: [], ctes: [], depth: 1 };
}
