import { anyChange, type ChangeContext, type FreeIds } from './changes.ts';
import { predicate } from './predicates.ts';
import { anyQuery, starRead, tableRead } from './queries.ts';
import type { Random } from './random.ts';
import { type ForcedRung, forcedRungs } from './rungs.ts';
import { emptyScope, relations, type Scope } from './scope.ts';
import { type ColumnDefinition, codeOf, domains, sqlTypes, tables } from './tables.ts';
import { list, type Protocol, sql, type Tree } from './tree.ts';

export type Statement = {
  readonly tree: Tree;
  readonly label: string;
  readonly kind: 'query' | 'change' | 'control' | 'error';
  /** Tables to compare whole afterwards. */
  readonly writes: readonly string[];
  /** The rows of a COPY FROM STDIN. */
  readonly input?: string;
};

/** What runs on one session in one go: a statement, or a transaction of several. */
export type Unit = {
  readonly label: string;
  readonly protocol: Protocol;
  /** As named prepared statements. */
  readonly prepared: boolean;
  /** Forced for the whole unit: what changes rows runs once only. */
  readonly rung: ForcedRung;
  readonly statements: readonly Statement[];
};

export type Generator = { readonly random: Random; readonly ids: FreeIds; readonly seed: number };

export function anyUnit(generator: Generator): Unit {
  const { random } = generator;
  const protocol: Protocol = random.chance(0.5) ? 'simple' : 'extended';
  const one = (statement: Statement): Unit => ({
    label: statement.label,
    protocol,
    prepared: protocol === 'extended' && random.chance(0.2),
    rung: statement.kind === 'change' ? anyRung(random) : null,
    statements: [statement],
  });
  return random.weighted<() => Unit>([
    [52, () => one(anyQueryStatement(generator))],
    [16, () => one(readStatement(generator))],
    [5, () => one(starStatement(generator))],
    [18, () => one(changeStatement(generator))],
    [5, () => one(errorStatement(generator))],
    [6, () => transaction(generator, protocol)],
    [6, () => writtenBlock(generator, protocol)],
    [3, () => preparedRepeats(generator)],
    [2, () => cursor(generator)],
    [2, () => one(copyIn(generator))],
    [1, () => copyOut(generator)],
    [2, () => temporaryTable(generator)],
  ])();
}

function anyRung(random: Random): ForcedRung {
  return random.chance(0.6) ? null : random.pick(forcedRungs);
}

function freshScope(generator: Generator): Scope {
  return emptyScope(generator.random);
}

function anyQueryStatement(generator: Generator): Statement {
  return { tree: anyQuery(freshScope(generator)).tree, label: 'query', kind: 'query', writes: [] };
}

function readStatement(generator: Generator): Statement {
  const tree = tableRead(freshScope(generator), generator.random.pick(relations));
  return { tree, label: 'table read', kind: 'query', writes: [] };
}

function starStatement(generator: Generator): Statement {
  return { tree: starRead(freshScope(generator)), label: 'star read', kind: 'query', writes: [] };
}

function changeStatement(generator: Generator): Statement {
  const context: ChangeContext = { scope: freshScope(generator), ids: generator.ids, seed: generator.seed };
  const { tree, label, table, also = [] } = anyChange(context);
  return { tree, label, kind: 'change', writes: [table, ...also] };
}

function control(text: string): Statement {
  return { tree: text, label: text.split(' ')[0]!.toLowerCase(), kind: 'control', writes: [] };
}

function transaction(generator: Generator, protocol: Protocol): Unit {
  const { random } = generator;
  const statements: Statement[] = [];
  let savepoints = 0;
  for (let count = random.int(2, 6); count > 0; count--) {
    const make = random.weighted<() => Statement>([
      [6, () => changeStatement(generator)],
      [4, () => (random.chance(0.5) ? readStatement(generator) : anyQueryStatement(generator))],
      [1, () => errorStatement(generator)],
      [2, () => control(`SAVEPOINT s${++savepoints}`)],
      [savepoints > 0 ? 3 : 0, () => control(`ROLLBACK TO SAVEPOINT s${random.int(1, savepoints)}`)],
      [savepoints > 0 ? 1 : 0, () => control(`RELEASE SAVEPOINT s${savepoints}`)],
    ]);
    statements.push(make());
  }
  const local = random.chance(0.25) ? [control("SET LOCAL pgherd.snapshot = 'local'")] : [];
  const begin = control(random.pick(['BEGIN', 'BEGIN', 'START TRANSACTION', 'BEGIN ISOLATION LEVEL REPEATABLE READ']));
  const end = control(random.chance(0.7) ? 'COMMIT' : 'ROLLBACK');
  return {
    label: 'transaction',
    protocol,
    prepared: false,
    rung: anyRung(random),
    statements: [begin, ...local, ...statements, end],
  };
}

/** Queries in a READ COMMITTED block that has written, whose rows nobody else sees. */
function writtenBlock(generator: Generator, protocol: Protocol): Unit {
  const { random } = generator;
  const queries = Array.from({ length: random.int(1, 3) }, () => anyQueryStatement(generator));
  const later = random.chance(0.3) ? [changeStatement(generator), anyQueryStatement(generator)] : [];
  const end = control(random.chance(0.5) ? 'COMMIT' : 'ROLLBACK');
  const statements = [control('BEGIN'), changeStatement(generator), ...queries, ...later, end];
  return { label: 'written block', protocol, prepared: false, rung: null, statements };
}

/** One prepared statement, run often enough that PostgreSQL would choose a generic plan. */
function preparedRepeats(generator: Generator): Unit {
  const { random } = generator;
  const scope = freshScope(generator);
  const keyed = relations.filter((relation) => relation.columns.some((column) => ['id', 'k'].includes(column.name)));
  const relation = random.pick(keyed);
  const key = random.pick(relation.columns.filter((column) => ['id', 'k', 'a'].includes(column.name)));
  const source = { alias: relation.name, columns: [{ ...key, sql: key.name }], unique: [], keyed: false };
  const filter = random.chance(0.4) ? predicate({ ...scope, depth: 0, sources: [source] }) : 'true';
  const casts = random.chance(0.5);
  const value = (): Tree => {
    const text = key.name === 'id' ? String(random.int(1, 60)) : random.pick(domains[key.type]);
    return { kind: 'value', text, type: sqlTypes[key.type], cast: casts };
  };
  const read = (): Statement => ({
    tree: sql`SELECT * FROM ${relation.name} WHERE ${key.name} = ${value()} AND ${filter}`,
    label: 'prepared read',
    kind: 'query',
    writes: [],
  });
  const statements = Array.from({ length: 7 }, read);
  return { label: 'prepared repeats', protocol: 'extended', prepared: true, rung: null, statements };
}

/** Text format, now and then with a row that can't be taken. */
function copyIn({ random, ids }: Generator): Statement {
  const table = random.pick(tables);
  const columns = table.columns.filter((column) => column.generated !== true);
  const rows = Array.from({ length: random.int(1, 12) }, () => {
    const id = ids.next();
    return columns.map((column) => copiedValue(random, column, id)).join('\t');
  });
  if (random.chance(0.15)) rows.splice(random.int(0, rows.length), 0, random.pick(['x', rows[0]!, '']));
  const names = columns.map((column) => column.name).join(', ');
  return {
    tree: `COPY ${table.name} (${names}) FROM STDIN`,
    label: 'copy in',
    kind: 'change',
    writes: [table.name],
    input: rows.map((row) => `${row}\n`).join(''),
  };
}

function copiedValue(random: Random, column: ColumnDefinition, id: number): string {
  if (column.name === 'id') return String(id);
  if (column.name === 'code') return codeOf(id);
  if (!(column.extra ?? '').startsWith('NOT NULL') && random.chance(0.1)) return '\\N';
  return random.pick(domains[column.type]).replaceAll('\\', '\\\\');
}

function copyOut(generator: Generator): Unit {
  const { tree } = anyQuery({ ...freshScope(generator), inline: true });
  const statement: Statement = {
    tree: sql`COPY (${{ ...tree, tail: '' }}) TO STDOUT`,
    label: 'copy out',
    kind: 'query',
    writes: [],
  };
  return { label: 'copy out', protocol: 'simple', prepared: false, rung: null, statements: [statement] };
}

/** Rows go from the herd to the session's own table and back into queries with it. */
function temporaryTable(generator: Generator): Unit {
  const { random } = generator;
  const { tree, columns } = anyQuery({ ...freshScope(generator), inline: true });
  const relation = random.pick(relations);
  const control = (text: Tree): Statement => ({ tree: text, label: 'temporary table', kind: 'control', writes: [] });
  const query = (text: string): Statement => ({ tree: text, label: 'temporary table', kind: 'query', writes: [] });
  const key = columns.find((column) => column.type === 'int')?.name;
  const id = relation.unique[0];
  const joined = key === undefined ? 'true' : `tmp.${key} = o.${id}`;
  const statements = [
    control('BEGIN'),
    control(sql`CREATE TEMP TABLE tmp ON COMMIT DROP AS ${{ ...tree, tail: '' }}`),
    query('SELECT * FROM tmp'),
    query(`SELECT count(*) FROM tmp LEFT JOIN ${relation.name} o ON ${joined}`),
    query(`SELECT o.* FROM ${relation.name} o WHERE EXISTS (SELECT 1 FROM tmp WHERE ${joined})`),
    control('COMMIT'),
  ];
  return { label: 'temporary table', protocol: 'simple', prepared: false, rung: null, statements };
}

function cursor(generator: Generator): Unit {
  const { tree } = anyQuery(freshScope(generator));
  const declare: Statement = {
    tree: sql`DECLARE cur CURSOR FOR ${{ ...tree, tail: '' }}`,
    label: 'declare cursor',
    kind: 'control',
    writes: [],
  };
  const fetch: Statement = { tree: 'FETCH ALL FROM cur', label: 'fetch', kind: 'query', writes: [] };
  const statements = [control('BEGIN'), declare, fetch, control('CLOSE cur'), control('COMMIT')];
  return { label: 'cursor', protocol: 'simple', prepared: false, rung: null, statements };
}

function errorStatement(generator: Generator): Statement {
  const { random } = generator;
  const text = random.pick(errors);
  const kind = /^(INSERT|UPDATE|DELETE)/.test(text) ? 'change' : 'error';
  return { tree: list([text], ''), label: 'error', kind, writes: [] };
}

/** Each fails in one way on PostgreSQL, whatever the data and the plan. */
const errors: readonly string[] = [
  'SELECT id / (a - a) FROM h_int WHERE a IS NOT NULL',
  'SELECT 1 / 0',
  "SELECT 'x'::int FROM h_int",
  "SELECT t::int FROM (SELECT 'abc' AS t FROM h_int) s",
  'SELECT nothing FROM h_int',
  'SELECT * FROM no_such_table',
  'SELECT id FROM h_int, h_child',
  'SELEC id FROM h_int',
  'SELECT id FROM h_int WHERE',
  'SELECT no_such_function(id) FROM h_int',
  'SELECT t + d FROM h_int',
  'SELECT sum(count(*)) FROM h_int',
  'SELECT a, count(*) FROM h_int',
  'SELECT (SELECT id FROM h_int) AS several',
  'SELECT id FROM h_int UNION SELECT id, a FROM h_int',
  'SELECT id FROM h_int UNION SELECT t FROM h_text',
  'SELECT * FROM h_int LIMIT -1',
  "SELECT * FROM h_int WHERE t ~ '('",
  "SELECT * FROM h_int WHERE id = 'zwei'",
  "SELECT * FROM h_int WHERE m = 'furious'",
  "SELECT * FROM h_uuid WHERE k = 'not-a-uuid'",
  "SELECT * FROM h_int WHERE d = '2020-13-01'",
  'SELECT 2147483647 + id FROM h_int',
  "SELECT '{bad'::jsonb FROM h_int",
  'SELECT id FROM h_int GROUP BY 2',
  'SELECT id FROM h_int ORDER BY 7',
  'SELECT DISTINCT a FROM h_int ORDER BY t',
  'SELECT count(*) FROM h_int FOR UPDATE',
  'SELECT row_number() OVER () FROM h_int WHERE row_number() OVER () > 1',
  'SELECT a FROM h_int t1 JOIN h_child t2 USING (nope)',
  'INSERT INTO h_int (id, nope) VALUES (1, 2)',
  'INSERT INTO h_int (id) VALUES (1, 2)',
  'INSERT INTO h_int (id, id) VALUES (1, 2)',
  "INSERT INTO h_int (id, a) VALUES (1, 'x')",
  'UPDATE h_int SET nope = 1',
  'UPDATE h_text SET g = 5',
  'DELETE FROM no_such_table',
  'DELETE FROM h_int WHERE count(*) > 1',
  'INSERT INTO h_int (id) VALUES (1) ON CONFLICT (t) DO NOTHING',
  'SAVEPOINT outside',
  'FETCH ALL FROM no_such_cursor',
  'EXECUTE no_such_statement',
  'SET no_such_setting = 1',
  "SELECT set_config('datestyle', 'nonsense', false)",
];
