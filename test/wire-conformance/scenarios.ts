import {
  bind,
  cancelRequest,
  close,
  copyData,
  copyDone,
  copyFail,
  describe,
  execute,
  flush,
  gssEncRequest,
  int32,
  parse,
  query,
  rawFrame,
  sslRequest,
  startup,
  sync,
  terminate,
} from './frames.ts';
import { type Address, RawConnection } from './raw-connection.ts';

/** Gives the connections whose transcripts must be equal on both servers. */
export type Scenario = {
  readonly name: string;
  run(address: Address, open: (connection: RawConnection) => RawConnection): Promise<void>;
};

/** `w` is distributed by id, `wt` by a text key, `wr` is a reference table, `wl` local. */
export const setup = [
  'CREATE TABLE w (id int PRIMARY KEY, t text, n numeric(10,2), at timestamp)',
  'CREATE TABLE wt (k text, v int)',
  'CREATE TABLE wr (id int PRIMARY KEY, name text)',
  'CREATE TABLE wl (id int PRIMARY KEY, name text)',
  "CREATE TYPE wenum AS ENUM ('a', 'ä')",
  'CREATE TABLE we (id int PRIMARY KEY, e wenum, es wenum[])',
];
export const distribution = [
  "SELECT create_distributed_table('w', 'id')",
  "SELECT create_distributed_table('wt', 'k')",
  "SELECT create_reference_table('wr')",
  "SELECT create_distributed_table('we', 'id')",
];
export const rows = [
  "INSERT INTO w SELECT g, 't' || g, g * 1.5, timestamp '2024-01-01' + g * interval '1 hour' FROM generate_series(1, 20) g",
  "INSERT INTO wt SELECT 'k' || g % 5, g FROM generate_series(1, 20) g",
  "INSERT INTO wr VALUES (1, 'eins'), (2, 'zwei')",
  "INSERT INTO wl VALUES (1, 'lokal')",
  "INSERT INTO we VALUES (1, 'a', '{a,ä}'), (2, 'ä', NULL)",
];

type Talk = (connection: RawConnection) => Promise<void>;

/** A scenario on one connection that has logged in. */
function talk(name: string, run: Talk, parameters: Readonly<Record<string, string>> = {}): Scenario {
  return {
    name,
    run: async (address, open) => run(open(await RawConnection.login(address, parameters))),
  };
}

/** A simple query per line. */
const queries = (name: string, ...sql: readonly string[]) =>
  talk(name, async (c) => {
    for (const text of sql) await c.ready(query(text));
  });

const one = (id: number) => `SELECT id, t, n, at FROM w WHERE id = ${id}`;

const simple: readonly Scenario[] = [
  queries('a row of one shard', one(3)),
  queries('rows of all shards in order', 'SELECT id, t FROM w WHERE id < 6 ORDER BY id'),
  queries('no rows', one(999), 'SELECT id FROM w WHERE id > 999', 'SELECT FROM w WHERE id = 1', 'SELECT'),
  queries('an empty query', '', '   ', ';', '-- nothing', ';;'),
  queries('several statements', `${one(1)}; ${one(2)}; SELECT count(*) FROM w`, 'SELECT 1; ; SELECT 2'),
  queries(
    'several statements are one transaction',
    "INSERT INTO w (id) VALUES (100); INSERT INTO w (id) VALUES (101); SELECT 1 / 0; SELECT 'never'",
    'SELECT count(*) FROM w WHERE id >= 100',
    'INSERT INTO w (id) VALUES (102); INSERT INTO w (id) VALUES (103)',
    'DELETE FROM w WHERE id >= 100 RETURNING t',
  ),
  queries(
    'BEGIN and COMMIT inside a string of statements',
    'INSERT INTO w (id) VALUES (110); BEGIN; INSERT INTO w (id) VALUES (111); COMMIT; SELECT 1 / 0',
    'SELECT count(*) FROM w WHERE id IN (110, 111)',
    'BEGIN; DELETE FROM w WHERE id IN (110, 111)',
    'COMMIT; SELECT 1',
  ),
  queries(
    'transaction status bytes',
    'BEGIN',
    one(1),
    'SELECT 1 / 0',
    'SELECT 1',
    'ROLLBACK',
    'COMMIT',
    'BEGIN',
    'BEGIN',
    'UPDATE w SET n = 0 WHERE id = 1',
    'UPDATE w SET n = 0 WHERE id IN (2, 3)',
    'SAVEPOINT s',
    'nonsense',
    'ROLLBACK TO s',
    'ROLLBACK',
    'BEGIN; SELECT 1; COMMIT',
    'BEGIN; SELECT 1 / 0; COMMIT',
    'ROLLBACK',
  ),
  queries(
    'command tags',
    "INSERT INTO w (id, t) VALUES (120, 'x'), (121, 'y')",
    "UPDATE w SET t = 'z' WHERE id IN (120, 121)",
    'DELETE FROM w WHERE id >= 120',
    'DELETE FROM w WHERE id = 999',
    'SET work_mem = 1000',
    'SHOW work_mem',
    'RESET work_mem',
    'LISTEN x',
    'UNLISTEN *',
    "DO $$ BEGIN RAISE NOTICE 'hallo'; END $$",
    'PREPARE p AS SELECT 1',
    'EXECUTE p',
    'DEALLOCATE p',
    'BEGIN',
    'DECLARE c CURSOR FOR SELECT id FROM w ORDER BY id',
    'FETCH 2 FROM c',
    'MOVE 3 FROM c',
    'CLOSE c',
    'END',
    'ANALYZE w',
    'DISCARD ALL',
    'VALUES (1), (2)',
    'TABLE wr',
    'SELECT * INTO TEMP into_w FROM w WHERE id < 3',
    'CREATE TEMP TABLE as_w AS SELECT id FROM w',
    'TRUNCATE as_w',
    'DROP TABLE as_w',
    'LOCK TABLE wl',
    'EXPLAIN (COSTS OFF) SELECT 1',
  ),
  queries(
    'errors with their position and names',
    'SELEC 1',
    'SELECT id FROM w WHER id = 1',
    'SELECT nope FROM w',
    'SELECT "ä", nope FROM w',
    'SELECT * FROM nope',
    "SELECT id FROM w WHERE id = 'x'",
    'SELECT id FROM w WHERE t = 1',
    'SELECT no_such(id) FROM w',
    'SELECT id FROM w GROUP BY t',
    'INSERT INTO w (id) VALUES (1)',
    'INSERT INTO w (id) VALUES (NULL)',
    'INSERT INTO w (id, n) VALUES (500, 1e20)',
    "INSERT INTO w (id, at) VALUES (500, 'gestern nicht')",
    'SELECT 1 / (id - id) FROM w',
    'SELECT 1 / (id - 3) FROM w WHERE id = 3',
    "SELECT 'x'::wenum",
    "SELECT 'abc",
    'SELECT $1',
    'CREATE TABLE w (id int)',
    'DROP TABLE nope',
    'SELECT (SELECT id FROM w)',
  ),
  queries(
    'types and their descriptions',
    'SELECT id, t, n, at FROM w WHERE id = 1',
    'SELECT id + 1 AS plus, t || t, n * 2, at::date, NULL, true, ARRAY[id], ROW(id, t) FROM w WHERE id = 1',
    'SELECT e, es FROM we ORDER BY id',
    'SELECT e FROM we WHERE id = 2',
    'SELECT w FROM w WHERE id = 1',
    'SELECT count(*), sum(n), avg(id), max(at), min(t) FROM w',
    'SELECT wr.name, w.id FROM w JOIN wr USING (id) ORDER BY id',
    'SELECT t::varchar(3), n::numeric(4,1), t::char(4) FROM w WHERE id = 1',
    'INSERT INTO w (id, t) VALUES (130, NULL), (131, $$a\tb$$) RETURNING *',
    'DELETE FROM w WHERE id IN (130, 131) RETURNING id, t',
  ),
  queries(
    'notices',
    "DO $$ BEGIN RAISE NOTICE 'eins'; RAISE WARNING 'zwei' USING DETAIL = 'd', HINT = 'h'; END $$",
    'DROP TABLE IF EXISTS nope',
    'COMMIT',
    "SET client_min_messages = error; DO $$ BEGIN RAISE WARNING 'leise'; END $$",
  ),
  queries(
    'parameter status',
    "SET application_name = 'wire'",
    "SET DateStyle = 'German'",
    one(1),
    "SET TimeZone = 'Asia/Tokyo'",
    "SET client_encoding = 'UTF8'",
    'SET standard_conforming_strings = off',
    'SET IntervalStyle = iso_8601',
    'BEGIN; SET application_name = inner_one; ROLLBACK',
    "BEGIN; SET LOCAL TimeZone = 'UTC'",
    'COMMIT',
    "SELECT set_config('application_name', 'by function', false)",
    'SET search_path = pg_catalog',
    'RESET ALL',
    'SET nope = 1',
    "SET DateStyle = 'nope'",
    'SET default_transaction_read_only = on',
  ),
  queries('unicode', "SELECT '🐘ß日本' AS ü, length('🐘ß日本')", "SELECT nope FROM w WHERE t = '🐘'"),
];

const extended: readonly Scenario[] = [
  talk('parse, bind, describe, execute', (c) =>
    c.ready(parse('SELECT id, t FROM w WHERE id = $1'), bind({ values: ['3'] }), describe('P'), execute(), sync()),
  ),
  talk('describe a statement', (c) =>
    c.readyTimes(
      4,
      parse('SELECT id, t, n FROM w WHERE id = $1 AND t = $2'),
      describe('S'),
      sync(),
      parse('INSERT INTO w (id, t, n) VALUES ($1, $2, $3)'),
      describe('S'),
      sync(),
      parse('UPDATE w SET n = $1 WHERE id = $2 RETURNING *'),
      describe('S'),
      sync(),
      parse('SELECT $1::int, $2, count(*) FROM w WHERE at > $3'),
      describe('S'),
      sync(),
    ),
  ),
  talk('describe a statement without rows', (c) =>
    c.ready(parse('DELETE FROM w WHERE id = 999'), describe('S'), bind(), describe('P'), execute(), sync()),
  ),
  talk('types given by the client', (c) =>
    c.readyTimes(
      2,
      parse('SELECT $1 AS a, $2 AS b', { types: [20, 0] }),
      describe('S'),
      bind({ values: ['5', 'x'] }),
      execute(),
      sync(),
      parse('SELECT id FROM w WHERE id = $1', { types: [20] }),
      describe('S'),
      bind({ values: ['5'] }),
      execute(),
      sync(),
    ),
  ),
  talk('named statements are used again', async (c) => {
    await c.ready(parse('SELECT t FROM w WHERE id = $1', { name: 'by id' }), sync());
    for (const id of ['1', '2', '3', '4', '5', '6', '7', '8'])
      await c.ready(bind({ statement: 'by id', values: [id] }), execute(), sync());
    await c.ready(parse('SELECT 1', { name: 'by id' }), sync());
    await c.ready(close('S', 'by id'), sync());
    await c.ready(bind({ statement: 'by id', values: ['1'] }), execute(), sync());
    await c.ready(close('S', 'never was'), close('P', 'never was'), sync());
  }),
  talk('a pipeline with one Sync', (c) =>
    c.ready(
      parse('SELECT t FROM w WHERE id = $1', { name: 's' }),
      ...['1', '2', '3'].flatMap((id) => [bind({ statement: 's', values: [id] }), execute()]),
      parse('SELECT count(*) FROM w'),
      bind(),
      execute(),
      sync(),
    ),
  ),
  talk('a pipeline of several Syncs', (c) =>
    c.readyTimes(
      3,
      parse('SELECT t FROM w WHERE id = 1'),
      bind(),
      execute(),
      sync(),
      parse('SELECT nope'),
      bind(),
      execute(),
      sync(),
      parse('SELECT t FROM w WHERE id = 2'),
      bind(),
      execute(),
      sync(),
    ),
  ),
  talk('after an error all is skipped until Sync', (c) =>
    c.readyTimes(
      2,
      parse('SELECT 1 / (id - 1) FROM w WHERE id = 1'),
      bind(),
      describe('P'),
      execute(),
      parse('SELECT 2'),
      bind(),
      execute(),
      query('SELECT 3'),
      sync(),
      query('SELECT 4'),
    ),
  ),
  talk('what a pipeline wrote before its error is undone', async (c) => {
    const insert = (id: string) => [parse('INSERT INTO w (id) VALUES ($1)'), bind({ values: [id] }), execute()];
    await c.ready(...insert('140'), ...insert('141'), ...insert('140'), sync());
    await c.ready(query('SELECT count(*) FROM w WHERE id IN (140, 141)'));
    await c.ready(...insert('142'), ...insert('143'), sync());
    await c.ready(query('DELETE FROM w WHERE id IN (142, 143)'));
  }),
  talk('a pipeline inside a transaction', async (c) => {
    const run = (sql: string) => [parse(sql), bind(), execute()];
    await c.ready(
      ...run('BEGIN'),
      ...run('UPDATE w SET n = 1 WHERE id = 1'),
      ...run('SELECT n FROM w WHERE id = 1'),
      sync(),
    );
    await c.ready(...run('SELECT 1 / (id - 1) FROM w WHERE id = 1'), ...run('SELECT 1'), sync());
    await c.ready(...run('SELECT 1'), sync());
    await c.ready(...run('ROLLBACK'), sync());
    await c.ready(...run('BEGIN'), ...run('SELECT 1'), ...run('COMMIT'), ...run('SELECT 2'), sync());
  }),
  talk('row-limited Execute', async (c) => {
    const sql = 'SELECT id FROM w WHERE id <= 7 ORDER BY id';
    await c.ready(parse(sql), bind(), execute('', 3), execute('', 3), execute('', 3), execute('', 3), sync());
    await c.ready(query('BEGIN'));
    await c.ready(parse(sql), bind({ portal: 'p' }), execute('p', 2), sync());
    await c.ready(execute('p', 2), sync());
    await c.ready(describe('P', 'p'), execute('p'), sync());
    await c.ready(execute('p'), sync());
    await c.ready(close('P', 'p'), execute('p'), sync());
    await c.ready(query('ROLLBACK'));
  }),
  talk('row-limited Execute on one shard', (c) =>
    c.ready(parse('SELECT id FROM w WHERE id = 3'), bind(), execute('', 1), execute('', 1), sync()),
  ),
  talk('exactly as many rows as the limit', (c) =>
    c.ready(parse('SELECT id FROM w WHERE id <= 2 ORDER BY id'), bind(), execute('', 2), execute('', 2), sync()),
  ),
  talk('two portals side by side', async (c) => {
    await c.ready(query('BEGIN'));
    await c.ready(
      parse('SELECT id FROM w WHERE id < $1 ORDER BY id', { name: 'two' }),
      bind({ portal: 'a', statement: 'two', values: ['4'] }),
      bind({ portal: 'b', statement: 'two', values: ['10'] }),
      execute('a', 1),
      execute('b', 1),
      execute('a', 1),
      execute('b', 2),
      sync(),
    );
    await c.ready(bind({ portal: 'a', statement: 'two', values: ['1'] }), sync());
    await c.ready(query('ROLLBACK'));
    await c.ready(execute('b', 1), sync());
  }),
  talk('a portal ends with its transaction', async (c) => {
    await c.ready(parse('SELECT 1'), bind({ portal: 'p' }), sync());
    await c.ready(execute('p'), sync());
  }),
  talk('Flush', async (c) => {
    await c.answers(1, parse('SELECT t FROM w WHERE id = $1', { name: 'f' }), flush());
    await c.answers(2, describe('S', 'f'), flush());
    await c.answers(1, bind({ statement: 'f', values: ['4'] }), flush());
    await c.answers(2, execute(), flush());
    await c.answers(1, parse('SELECT nope FROM w'), flush());
    await c.ready(bind(), flush(), sync());
  }),
  talk('binary results', (c) =>
    c.readyTimes(
      4,
      parse('SELECT id, t, n, at FROM w WHERE id = 5'),
      bind({ results: [1] }),
      describe('P'),
      execute(),
      sync(),
      parse('SELECT id, n FROM w WHERE id < 4 ORDER BY id'),
      bind({ results: [1, 0] }),
      describe('P'),
      execute(),
      sync(),
      parse('SELECT count(*), sum(n), max(at) FROM w'),
      bind({ results: [1, 1, 1] }),
      execute(),
      sync(),
      parse(
        "SELECT ARRAY[id, NULL], true, 'ü'::bytea, 1.5::float8, '{\"a\": 1}'::jsonb, interval '1 day' FROM w WHERE id = 1",
      ),
      bind({ results: [1] }),
      execute(),
      sync(),
    ),
  ),
  talk('binary parameters', async (c) => {
    const byId = { values: [int32(6)], formats: [1] as const };
    await c.ready(parse('SELECT t FROM w WHERE id = $1', { types: [23] }), bind(byId), execute(), sync());
    await c.ready(
      parse('SELECT v FROM wt WHERE k = $1 ORDER BY v'),
      bind({ values: ['k1'], formats: [1] }),
      execute(),
      sync(),
    );
    await c.ready(
      parse('SELECT id FROM w WHERE id = ANY ($1::int[]) ORDER BY id'),
      bind({
        values: [
          Buffer.concat([int32(1), int32(0), int32(23), int32(2), int32(1), int32(4), int32(2), int32(4), int32(9)]),
        ],
        formats: [1],
      }),
      execute(),
      sync(),
    );
    await c.ready(
      parse('INSERT INTO w (id, t) VALUES ($1, $2) RETURNING id, t'),
      bind({ values: [int32(150), 'bin'], formats: [1, 0], results: [1, 0] }),
      execute(),
      sync(),
    );
    await c.ready(query('DELETE FROM w WHERE id = 150'));
    await c.ready(
      parse('SELECT t FROM w WHERE id = $1'),
      bind({ values: [Buffer.from([1, 2])], formats: [1] }),
      execute(),
      sync(),
    );
  }),
  talk('enum values in binary', (c) =>
    c.ready(
      parse('SELECT e FROM we WHERE id = $1'),
      bind({ values: ['2'], results: [1] }),
      describe('P'),
      execute(),
      sync(),
    ),
  ),
  talk('NULL parameters', (c) =>
    c.readyTimes(
      2,
      parse('SELECT id FROM w WHERE id = $1'),
      bind({ values: [null] }),
      execute(),
      sync(),
      parse('SELECT $1::text IS NULL, $2::int FROM w WHERE id = 1'),
      bind({ values: [null, null] }),
      execute(),
      sync(),
    ),
  ),
  talk('empty query and Execute', (c) =>
    c.readyTimes(
      2,
      parse(''),
      describe('S'),
      bind(),
      describe('P'),
      execute(),
      sync(),
      parse('-- nothing'),
      bind(),
      execute(),
      sync(),
    ),
  ),
  talk('errors of the extended protocol', async (c) => {
    await c.ready(parse('SELECT 1; SELECT 2'), sync());
    await c.ready(parse('SELECT FROM WHERE'), sync());
    await c.ready(bind({ statement: 'nope' }), sync());
    await c.ready(execute('nope'), sync());
    await c.ready(describe('S', 'nope'), sync());
    await c.ready(describe('P', 'nope'), sync());
    await c.ready(parse('SELECT id FROM w WHERE id = $1'), bind(), sync());
    await c.ready(parse('SELECT id FROM w WHERE id = $1'), bind({ values: ['1', '2'] }), sync());
    await c.ready(parse('SELECT id FROM w WHERE id = $1'), bind({ values: ['x'] }), execute(), sync());
    await c.ready(parse('SELECT id FROM w WHERE id = $1'), bind({ values: ['99999999999'] }), execute(), sync());
    await c.ready(parse('SELECT $1'), bind({ values: ['1'], formats: [0, 0, 0] }), sync());
    await c.ready(parse('SELECT 1, 2'), bind({ results: [0, 0, 0] }), sync());
    await c.ready(parse('SELECT $2::int'), describe('S'), sync());
    await c.ready(parse('SELECT id FROM w WHERE id = $1 AND t = $1'), sync());
    await c.ready(describe('S'), sync());
  }),
  talk('commands through the extended protocol', async (c) => {
    for (const sql of [
      'BEGIN',
      "SET LOCAL application_name = 'x'",
      'SHOW application_name',
      'SAVEPOINT s',
      'ROLLBACK TO SAVEPOINT s',
      'COMMIT',
      "SET DateStyle = 'SQL'",
      'CREATE TEMP TABLE ext (id int)',
      'DROP TABLE ext',
      'EXPLAIN (COSTS OFF) SELECT 1',
    ])
      await c.ready(parse(sql), describe('S'), bind(), describe('P'), execute(), sync());
  }),
  talk('writes through the extended protocol', async (c) => {
    await c.ready(
      parse("INSERT INTO w (id, t) VALUES ($1, 'a'), ($2, 'b') RETURNING id"),
      bind({ values: ['160', '161'] }),
      describe('P'),
      execute(),
      sync(),
    );
    await c.ready(
      parse('UPDATE w SET t = $1 WHERE id >= $2'),
      bind({ values: ['c', '160'] }),
      describe('P'),
      execute(),
      sync(),
    );
    await c.ready(parse('DELETE FROM w WHERE id >= $1'), bind({ values: ['160'] }), execute(), sync());
  }),
  talk('simple and extended by turns', async (c) => {
    await c.ready(parse('SELECT t FROM w WHERE id = 1'), bind({ portal: 'x' }), sync());
    await c.ready(query('SELECT 1'));
    await c.ready(parse('SELECT 2', { name: 'keep' }), sync());
    await c.ready(query('SELECT 3'));
    await c.ready(bind({ statement: 'keep' }), execute(), sync());
    await c.ready(query('EXECUTE keep'));
    await c.ready(query('DEALLOCATE keep'));
    await c.ready(bind({ statement: 'keep' }), sync());
    await c.ready(query('PREPARE sqlp (int) AS SELECT t FROM w WHERE id = $1'));
    await c.ready(describe('S', 'sqlp'), bind({ statement: 'sqlp', values: ['2'] }), execute(), sync());
    await c.ready(query('DISCARD ALL'));
    await c.ready(bind({ statement: 'sqlp', values: ['2'] }), sync());
  }),
  talk('Sync alone', (c) => c.readyTimes(3, sync(), sync(), sync())),
];

const copy: readonly Scenario[] = [
  talk('COPY in, text', async (c) => {
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('200\teins\n201\t\\N\n20'), copyData('2\tzw\\tei\n'), copyData('203\t\\\\.\n'), copyDone());
    await c.ready(query('SELECT id, t FROM w WHERE id >= 200 ORDER BY id'));
    await c.ready(query('DELETE FROM w WHERE id >= 200'));
  }),
  talk('COPY in, CSV with header', async (c) => {
    await c.answers(1, query('COPY w (t, id) FROM STDIN WITH (FORMAT csv, HEADER)'));
    await c.ready(copyData('t,id\n"a ""q"", b\nc",210\n,211\n"",212\n'), copyDone());
    await c.ready(query('SELECT id, t FROM w WHERE id >= 210 ORDER BY id'));
    await c.ready(query('DELETE FROM w WHERE id >= 210'));
  }),
  talk('COPY in fails on a bad row and leaves nothing', async (c) => {
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('220\ta\n221\tb\nzwei\tc\n223\td\n'), copyDone());
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('220\ta\n1\tb\n'), copyDone());
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('220\ta\tzu viel\n'), copyDone());
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('220\n'), copyDone());
    await c.ready(query('SELECT count(*) FROM w WHERE id >= 220'));
  }),
  talk('COPY in ended by the client', async (c) => {
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('230\ta\n'), copyFail('keine Lust'));
    await c.ready(query('SELECT count(*) FROM w WHERE id = 230'));
  }),
  talk('COPY in a transaction', async (c) => {
    await c.ready(query('BEGIN'));
    await c.answers(1, query('COPY w (id, t) FROM STDIN'));
    await c.ready(copyData('240\ta\n241\tb\n'), copyDone());
    await c.ready(query('SELECT count(*) FROM w WHERE id >= 240'));
    await c.ready(query('ROLLBACK'));
    await c.ready(query('SELECT count(*) FROM w WHERE id >= 240'));
  }),
  talk('COPY out', async (c) => {
    await c.ready(query('COPY (SELECT id, t, n FROM w WHERE id < 5 ORDER BY id) TO STDOUT'));
    await c.ready(query('COPY (SELECT id, t FROM w WHERE id = 3) TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *)'));
    await c.ready(query('COPY (SELECT count(*) FROM w) TO STDOUT WITH (FORMAT binary)'));
    await c.ready(query('COPY wr TO STDOUT'));
    await c.ready(query('COPY wl (name) TO STDOUT'));
    await c.ready(query('COPY nope TO STDOUT'));
    await c.ready(query('COPY (SELECT 1 / (id - 3) FROM w WHERE id = 3) TO STDOUT'));
  }),
  talk('COPY out of a whole distributed table', (c) => c.ready(query('COPY w (id, t) TO STDOUT'))),
  talk('COPY among other statements', async (c) => {
    await c.answers(
      4,
      query('SELECT 1; COPY wl (id, name) FROM STDIN; SELECT count(*) FROM wl; DELETE FROM wl WHERE id > 1'),
    );
    await c.ready(copyData('7\tsieben\n'), copyDone());
  }),
  talk('COPY through the extended protocol', async (c) => {
    await c.answers(3, parse('COPY w (id, t) FROM STDIN'), bind(), execute(), flush());
    await c.answers(1, copyData('250\ta\n'), copyDone(), flush());
    await c.ready(sync());
    await c.ready(parse('COPY (SELECT id FROM w WHERE id >= 250) TO STDOUT'), bind(), execute(), sync());
    await c.ready(query('DELETE FROM w WHERE id >= 250'));
  }),
  talk('a COPY message without a COPY is ignored', (c) => c.ready(copyData('x'), copyDone(), query('SELECT 1'))),
];

const session: readonly Scenario[] = [
  {
    name: 'startup',
    run: async (address, open) => {
      const c = open(await RawConnection.open(address));
      const { user, database } = address;
      await c.ready(startup({ user, database, application_name: 'wire', client_encoding: 'UTF8', DateStyle: 'SQL' }));
      c.lines.sort();
      await c.ready(query('SHOW DateStyle'));
    },
  },
  {
    name: 'startup options',
    run: async (address, open) => {
      const options = '-c search_path=pg_catalog -c work_mem=2MB --statement-timeout=7s';
      const c = open(await RawConnection.login(address, { options }));
      for (const name of ['search_path', 'work_mem', 'statement_timeout']) await c.ready(query(`SHOW ${name}`));
    },
  },
  {
    name: 'SSL and GSS requests',
    run: async (address, open) => {
      const c = open(await RawConnection.open(address, false));
      await c.byte(gssEncRequest());
    },
  },
  {
    name: 'SSLRequest without TLS, then startup',
    run: async (address, open) => {
      const c = open(await RawConnection.open(address, false));
      await c.byte(sslRequest());
      await c.ready(startup({ user: address.user, database: address.database }));
      c.lines.splice(1, c.lines.length - 2);
    },
  },
  {
    name: 'a newer minor protocol version',
    run: async (address, open) => {
      const c = open(await RawConnection.open(address));
      const { user, database } = address;
      await c.ready(startup({ user, database, '_pq_.unknown': '1' }, 3 * 65536 + 9999));
      c.lines.length = 1;
    },
  },
  {
    name: 'startups that are refused',
    run: async (address, open) => {
      const { user, database } = address;
      for (const parameters of [
        { user, database: 'no such database' },
        { database },
        { user, database, nope: '1' },
        { user, database, DateStyle: 'nope' },
      ]) {
        const c = open(await RawConnection.open(address));
        await c.hangUp(startup(parameters));
        // The router may know before it says that the login is all right.
        const codes = c.lines.flatMap((line) => line.match(/V:\w+ C:\w+|\(closed\)/g) ?? []);
        c.lines.splice(0, c.lines.length, ...codes);
      }
    },
  },
  {
    name: 'what is no startup is hung up on',
    run: async (address, open) => {
      const { user, database } = address;
      for (const frame of [
        startup({ user, database }, 2 * 65536),
        startup({ user, database }, 4 * 65536),
        int32(4),
        int32(100_000_000),
        Buffer.from('GET / HTTP/1.1\r\n\r\n'),
        cancelRequest(int32(1), int32(1)),
      ]) {
        const c = open(await RawConnection.open(address));
        await c.hangUp(frame);
        c.lines.splice(0, c.lines.length - 1);
      }
    },
  },
  talk('Terminate', async (c) => {
    await c.ready(query('SELECT 1'));
    await c.hangUp(terminate());
  }),
  talk('an unknown message ends the session', (c) => c.hangUp(rawFrame('j', Buffer.from('x')))),
  talk('an impossible length ends the session', async (c) => {
    await c.hangUp(Buffer.from([0x51, 0, 0, 0, 2]));
    c.lines.splice(0, c.lines.length - 1);
  }),
  talk('a message too short for its fields', async (c) => {
    await c.ready(parse('SELECT 1'), rawFrame('B', Buffer.from('\0\0\0', 'latin1')), sync());
    await c.ready(rawFrame('P', Buffer.from('x', 'latin1')), sync());
    await c.ready(rawFrame('D', Buffer.from('X\0', 'latin1')), sync());
    await c.ready(rawFrame('C', Buffer.from('X\0', 'latin1')), sync());
    await c.ready(rawFrame('E', Buffer.from('\0', 'latin1')), sync());
    const tooLong = Buffer.concat([Buffer.from('\0\0\0\0\0\x01', 'latin1'), int32(50)]);
    await c.ready(parse('SELECT $1'), rawFrame('B', tooLong), sync());
  }),
  talk('a query that is not a string', async (c) => {
    await c.ready(rawFrame('Q', Buffer.from('SELECT 1')));
    await c.ready(rawFrame('Q', Buffer.from('SELECT 1\0SELECT 2\0')));
    await c.ready(rawFrame('Q', Buffer.from([0x53, 0xff, 0xfe, 0])));
  }),
  talk('a parameter that is not text', (c) =>
    c.ready(parse('SELECT t FROM w WHERE t = $1'), bind({ values: [Buffer.from([0xc3, 0x28])] }), execute(), sync()),
  ),
  {
    name: 'cancel',
    run: async (address, open) => {
      const c = open(await RawConnection.login(address));
      const key = c.messages.find((message) => message.type === 'K')!.body;
      const cancel = async () => {
        const other = await RawConnection.open(address);
        await other.hangUp(cancelRequest(key.subarray(0, 4), key.subarray(4)));
      };
      for (const sql of [
        'SELECT pg_sleep(9)',
        'SELECT pg_sleep(9), id FROM w WHERE id = 1',
        'SELECT pg_sleep(3) FROM w',
      ]) {
        const timer = setTimeout(() => void cancel(), 300);
        await c.ready(query(sql));
        clearTimeout(timer);
      }
      await c.ready(query('SELECT 1'));
    },
  },
  {
    name: 'LISTEN and NOTIFY',
    run: async (address, open) => {
      const listener = open(await RawConnection.login(address));
      const sender = open(await RawConnection.login(address));
      await listener.ready(query('LISTEN ch'));
      const notified = listener.answers(1);
      await sender.ready(query("NOTIFY ch, 'hallo'"));
      await notified;
    },
  },
  queries(
    'LISTEN and NOTIFY on one connection',
    'LISTEN ch',
    "BEGIN; NOTIFY ch, 'eins'; NOTIFY ch, 'eins'; SELECT pg_notify('ch', 'zwei')",
    'COMMIT',
    "BEGIN; NOTIFY ch, 'nie'; ROLLBACK",
    'UNLISTEN ch',
    'NOTIFY ch',
  ),
];

export const scenarios: readonly Scenario[] = [...simple, ...extended, ...copy, ...session];
