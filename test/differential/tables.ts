import { Random } from './random.ts';
import { tables, views } from './table-definitions.ts';

export { tables, views };

/** The types the generator knows; `num` always has two decimals, so that equal numbers print alike. */
export type ColumnType =
  | 'int'
  | 'big'
  | 'num'
  | 'float'
  | 'text'
  | 'date'
  | 'ts'
  | 'tz'
  | 'bool'
  | 'mood'
  | 'uuid'
  | 'arr'
  | 'json';

export const sqlTypes: Readonly<Record<ColumnType, string>> = {
  int: 'integer',
  big: 'bigint',
  num: 'numeric(12,2)',
  float: 'double precision',
  text: 'text',
  date: 'date',
  ts: 'timestamp',
  tz: 'timestamptz',
  bool: 'boolean',
  mood: 'mood',
  uuid: 'uuid',
  arr: 'integer[]',
  json: 'jsonb',
};

export type Distribution =
  /** `column`: one, or several with commas. */
  | { readonly kind: 'hash'; readonly column: string; readonly colocateWith?: string }
  | { readonly kind: 'range' | 'list'; readonly column: string; readonly bounds: string }
  /** Rows anywhere. */
  | { readonly kind: 'random' }
  | { readonly kind: 'reference' }
  | { readonly kind: 'local' };

export type ColumnDefinition = {
  readonly name: string;
  readonly type: ColumnType;
  /** Where it is stored as another type, which compares and prints in its own way. */
  readonly as?: string;
  /** NOT NULL, DEFAULT … */
  readonly extra?: string;
  /** Never given a value: GENERATED ALWAYS AS … */
  readonly generated?: boolean;
};

export type TableDefinition = {
  readonly name: string;
  /** `id` is unique in every table. */
  readonly columns: readonly ColumnDefinition[];
  readonly constraints: readonly string[];
  /** The columns ON CONFLICT may name. */
  readonly conflict: readonly string[];
  readonly distribution: Distribution;
  readonly rowCount: number;
};

const moods = ['sad', 'ok', 'happy'];

/** What columns hold, and so what literals are drawn from too. Small, so that predicates and joins hit. */
export const domains: Readonly<Record<ColumnType, readonly string[]>> = {
  int: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  big: ['0', '1', '2', '3', '5', '8', '-1', '9007199254740993', '-9007199254740993', '4611686018427'],
  num: ['0.00', '1.00', '1.50', '-2.25', '10.00', '3.33', '19.99', '0.01', '-0.50'],
  float: ['0', '0.5', '1.25', '-3', '1024', '2', '-0.125'],
  text: ['', 'a', 'A', 'ab', 'b', 'é', 'ß', 'Zürich', '日本', '🐘', "o'neill", ' x ', '%_', 'NULL', 'back\\slash'],
  date: ['2019-12-31', '2020-01-01', '2020-01-15', '2020-02-29', '2020-03-01', '1999-12-31', '2038-01-19'],
  ts: ['2020-01-01 00:00:00', '2020-02-29 23:59:59.999999', '1999-12-31 12:00:00', '2020-03-01 06:30:00'],
  tz: ['2020-01-01 00:00:00+00', '2020-03-29 01:30:00+00', '2020-10-25 00:30:00+00', '1999-12-31 23:00:00-05'],
  bool: ['t', 'f'],
  mood: moods,
  uuid: [
    '00000000-0000-0000-0000-000000000001',
    '00000000-0000-0000-0000-0000000000ff',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
  ],
  arr: ['{}', '{1}', '{1,2,3}', '{3,NULL,1}', '{5,5}', '{NULL}'],
  json: ['{"x": 1, "t": "é"}', '{"x": 2}', '{}', '[1, 2, "drei"]', '"s"', 'null', '{"x": 7, "deep": {"y": [true]}}'],
};

/** The first id that no table starts with: the generator's INSERTs count from here. */
export const firstFreeId = 1000;

const nullShare = 0.15;

/** The rows of every table at the start of a run: the same ones for the same seed. */
export function initialRows(table: TableDefinition, seed: number): (string | null)[][] {
  const random = new Random(seed ^ hashName(table.name));
  return Array.from({ length: table.rowCount }, (_, row) =>
    table.columns.filter((column) => column.generated !== true).map((column) => cell(random, table, column, row + 1)),
  );
}

function cell(random: Random, table: TableDefinition, column: ColumnDefinition, id: number): string | null {
  if (column.name === 'id') return String(id);
  if (column.name === 'code') return random.chance(nullShare) ? null : codeOf(id);
  if (column.name === 'h_id') return random.chance(nullShare) ? null : String(random.int(1, 65));
  if (table.name === 'h_uuid' && column.name === 'k' && random.chance(0.7)) return uuidOf(id);
  const nullable = !(column.extra ?? '').startsWith('NOT NULL');
  if (nullable && random.chance(nullShare)) return null;
  return random.pick(domains[column.type]);
}

/** Unique, yet short enough that the generator hits one that is taken. */
export function codeOf(id: number): string {
  return `ç${id}`;
}

export function uuidOf(id: number): string {
  return `c0ffee00-0000-4000-8000-${id.toString(16).padStart(12, '0')}`;
}

function hashName(name: string): number {
  let hash = 0;
  for (const letter of name) hash = Math.imul(hash, 31) + letter.charCodeAt(0);
  return hash;
}

const functions = [
  "CREATE FUNCTION f_twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i % 1000 * 2'",
  "CREATE FUNCTION f_quote(t text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN '«' || t || '»'; END $$",
];

/** Types, tables, views: everything but rows and distribution. */
export function createStatements(): string[] {
  const mood = `CREATE TYPE mood AS ENUM (${moods.map((name) => `'${name}'`).join(', ')})`;
  const created = views.map((view) => `CREATE VIEW ${view.name} AS ${view.text}`);
  return [mood, ...functions, ...tables.map(createTable), ...created];
}

function createTable(table: TableDefinition): string {
  const columns = table.columns.map(({ name, type, as, extra }) =>
    `${name} ${as ?? sqlTypes[type]} ${extra ?? ''}`.trimEnd(),
  );
  return `CREATE TABLE ${table.name} (${[...columns, ...table.constraints].join(', ')})`;
}

/** Fewer shards than the default: several on each node, and statements that are quickly planned there. */
export function distributeStatements(): string[] {
  return ['SET pgherd.shard_count = 7', ...tables.flatMap((table) => distributeStatement(table))];
}

function distributeStatement({ name, distribution }: TableDefinition): string[] {
  switch (distribution.kind) {
    case 'hash': {
      const colocation = distribution.colocateWith;
      const suffix = colocation === undefined ? '' : `, colocate_with => '${colocation}'`;
      return [`SELECT create_distributed_table('${name}', '${distribution.column}'${suffix})`];
    }
    case 'range':
    case 'list':
      return [
        `SELECT create_distributed_table('${name}', '${distribution.column}', '${distribution.kind}', shard_bounds => ${quote(distribution.bounds)})`,
      ];
    case 'random':
      return [`SELECT create_distributed_table('${name}', NULL, 'random')`];
    case 'reference':
      return [`SELECT create_reference_table('${name}')`];
    case 'local':
      return [];
    default:
      throw new Error(`unexpected ${JSON.stringify(distribution)}`);
  }
}

/** One INSERT for each table. `reversed`: another physical order, to catch statements whose answer depends on it. */
export function fillStatements(seed: number, reversed = false): string[] {
  return tables.map((table) => {
    const rows = initialRows(table, seed).map((row) => `(${row.map(quote).join(', ')})`);
    const names = table.columns.filter((column) => column.generated !== true).map((column) => column.name);
    return `INSERT INTO ${table.name} (${names.join(', ')}) VALUES ${(reversed ? rows.reverse() : rows).join(', ')}`;
  });
}

export function emptyStatements(): string[] {
  return tables.map((table) => `DELETE FROM ${table.name}`);
}

function quote(value: string | null): string {
  return value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`;
}
