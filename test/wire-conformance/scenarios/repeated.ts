import { bind, close, describe, execute, parse, query, rawFrame, sync } from '../frames.ts';
import { RawConnection } from '../raw-connection.ts';
import { queries, type Scenario, talk } from '../scenario.ts';

/*
 * Statements that come again and again with other values: from the second or third time on the router knows them, and they must be answered
 * as if it did not.
 */

const keys = [
  '1',
  '2',
  '3',
  '7',
  '20',
  '21',
  '0',
  '-1',
  '- 4',
  "'5'",
  "' 6 '",
  '5::int',
  "'5'::int",
  '5.0',
  '2147483648',
  'NULL',
  "'x'",
];
const texts = [
  "'k1'",
  "'k2'",
  "'it''s'",
  "'ä'",
  "''",
  "'k1'::text",
  "'k1'::varchar",
  "E'k1'",
  "U&'k1'",
  "'k\\1'",
  '$$k1$$',
  'NULL',
  '5',
];

/** Each form with each value, and all of that three times. */
function repeated(name: string, forms: readonly ((value: string) => string)[], values: readonly string[]): Scenario {
  return queries(name, ...[1, 2, 3].flatMap(() => values.flatMap((value) => forms.map((form) => form(value)))));
}

async function inBlock(c: RawConnection, ...statements: readonly string[]): Promise<void> {
  for (let i = 0; i < 3; i++) for (const sql of ['BEGIN', ...statements]) await c.ready(query(sql));
}

const extendedRun = (sql: string, values: readonly (string | null)[], types: readonly number[] = []) => [
  parse(sql, { types: [...types] }),
  bind({ values: [...values] }),
  describe('P'),
  execute(),
  sync(),
];

export const repeatedStatements: readonly Scenario[] = [
  repeated(
    'again: reads by an integer key',
    [
      (key) => `SELECT id, t FROM w WHERE id = ${key}`,
      (key) => `select t, 1, 'a', n from w where ${key} = id and n > 1 -- a comment\n`,
      (key) => `SELECT a.t, b.n FROM w a JOIN w b USING (id) WHERE a.id = ${key} AND b.n < 100;`,
      (key) => `SELECT count(*), max(t) FROM w WHERE (id = ${key}) LIMIT 5`,
      (key) => `SELECT id::numeric(7, 2) FROM w WHERE id = ${key} FOR UPDATE`,
    ],
    keys,
  ),
  repeated(
    'again: reads by a text key',
    [
      (key) => `SELECT k, v FROM wt WHERE k = ${key} ORDER BY 2`,
      (key) => `SELECT count(*) FROM wt WHERE k = ${key} AND v > 3`,
    ],
    texts,
  ),
  repeated(
    'again: changes',
    [
      (key) => `INSERT INTO w (id, t) VALUES (${key}, 'new') ON CONFLICT (id) DO NOTHING`,
      (key) => `UPDATE w SET n = n + 1, t = 'ü' WHERE id = ${key} RETURNING id, t, n`,
      (key) => `UPDATE w SET id = ${key} WHERE id = 5`,
      (key) => `UPDATE w SET n = -1.5 WHERE id = ${key} AND n < -3`,
      (key) => `DELETE FROM w WHERE id = ${key} AND id > 20`,
      (key) => `INSERT INTO wt VALUES (${key}, 1)`,
      (key) => `DELETE FROM wt WHERE k = ${key} AND v = 1`,
    ],
    keys,
  ),
  queries(
    'again: statements of one shape that give other types',
    ...[1, 2, 3].flatMap(() => [
      'SELECT 1, id FROM w WHERE id = 1',
      'SELECT 1.5, id FROM w WHERE id = 1',
      "SELECT 'a', id FROM w WHERE id = 1",
      'SELECT 12345678901, id FROM w WHERE id = 1',
      'SELECT n::numeric(5, 1), id FROM w WHERE id = 1',
      'SELECT n::numeric(9, 3), id FROM w WHERE id = 1',
      'SELECT id, n FROM w WHERE id = 1 ORDER BY 1',
      'SELECT id, n FROM w WHERE id = 1 ORDER BY 2',
      'SELECT id, n FROM w WHERE id = 1 ORDER BY 3',
    ]),
  ),
  queries(
    'again: errors',
    ...[1, 2, 3].flatMap((i) => [
      `INSERT INTO w (id, t) VALUES (${i}, 'there')`,
      `SELECT 1 / (id - ${i}) FROM w WHERE id = ${i}`,
      `SELECT t::int FROM w WHERE id = ${i}`,
      `SELECT nope FROM w WHERE id = ${i}`,
      `UPDATE w SET n = 1e20 WHERE id = ${i}`,
    ]),
  ),
  queries(
    'again: what the grammar refuses',
    ...[1, 2, 3].flatMap(() => [
      'SELECT t FROM w WHERE id = 1',
      'SELEC 1',
      'SELECT t FROM w WHERE id = 1 AND',
      "SELECT 'a",
      'SELECT (',
      'SELECT t FROM w WHERE id = 1; SELEC 2',
    ]),
  ),
  talk('again: answers stay in order when one packet has what is known and what is new', async (c) => {
    const known = 'SELECT t FROM w WHERE id = 3';
    for (let i = 0; i < 3; i++) await c.ready(query(known));
    for (let i = 0; i < 3; i++) {
      const update = (place: number) => query(`UPDATE w SET t = t, n = ${'n + '.repeat(i)}${place} WHERE id = 3`);
      await c.readyTimes(
        6,
        query('BEGIN'),
        update(1),
        query('SELECT 1 / 0'),
        query(known),
        query('COMMIT'),
        query(known),
      );
      await c.readyTimes(4, query('BEGIN'), update(2), query(known), query('ROLLBACK'));
    }
    const manyBlocks = Array.from({ length: 1_500 }, () => [query('BEGIN'), query('COMMIT')]).flat();
    await c.readyTimes(3_000, ...manyBlocks);
  }),
  ...['1e4', '0x4000', '030000', ' 1.5 min'].map((timeout) =>
    talk(
      `again: a timeout written ${timeout}`,
      async (c) => {
        for (let i = 0; i < 3; i++) await c.ready(query('SELECT t FROM w WHERE id = 3'));
      },
      { statement_timeout: timeout, idle_session_timeout: timeout },
    ),
  ),
  talk('again: blocks', async (c) => {
    await inBlock(c, 'SELECT t FROM w WHERE id = 3', 'UPDATE w SET n = 0 WHERE id = 3', 'COMMIT');
    await inBlock(c, 'UPDATE w SET n = 1 WHERE id = 3', 'UPDATE w SET n = 1 WHERE id = 4', 'END');
    await inBlock(c, 'UPDATE w SET n = 2 WHERE id = 3', 'ROLLBACK');
    await inBlock(
      c,
      'UPDATE w SET n = 2 WHERE id = 3',
      'SELECT 1 / (id - 3) FROM w WHERE id = 3',
      'SELECT t FROM w WHERE id = 3',
      'COMMIT',
    );
    await inBlock(
      c,
      'SAVEPOINT a',
      'UPDATE w SET n = 3 WHERE id = 3',
      'ROLLBACK TO a',
      'SELECT n FROM w WHERE id = 3',
      'COMMIT',
    );
    await inBlock(c, 'BEGIN', 'COMMIT', 'COMMIT');
    await inBlock(c, 'COMMIT AND CHAIN', 'SELECT n FROM w WHERE id = 3', 'COMMIT');
    await c.ready(query('SELECT id, n FROM w WHERE id IN (3, 4) ORDER BY id'));
  }),
  talk('again: blocks of other kinds', async (c) => {
    const read = 'SELECT n FROM w WHERE id = 3';
    for (const begin of [
      'BEGIN ISOLATION LEVEL REPEATABLE READ',
      'START TRANSACTION READ ONLY',
      'BEGIN -- now',
      'begin;',
    ])
      for (let i = 0; i < 3; i++)
        for (const sql of [begin, read, 'UPDATE w SET n = 5 WHERE id = 3', 'COMMIT']) await c.ready(query(sql));
    for (let i = 0; i < 3; i++)
      for (const sql of ['BEGIN', 'SET LOCAL extra_float_digits = 0', read, 'COMMIT']) await c.ready(query(sql));
    for (let i = 0; i < 3; i++)
      for (const sql of ['BEGIN', 'SET TRANSACTION READ ONLY', read, 'UPDATE w SET n = 5 WHERE id = 3', 'COMMIT'])
        await c.ready(query(sql));
  }),
  talk('again: the session changes what statements mean', async (c) => {
    const read = 'SELECT t FROM w WHERE id = 3';
    const thrice = async () => {
      for (let i = 0; i < 3; i++) await c.ready(query(read));
    };
    await thrice();
    await c.ready(query('SET search_path TO pg_catalog'));
    await thrice();
    await c.ready(query('RESET search_path'));
    await thrice();
    await c.ready(query('CREATE TEMP TABLE w (id int, t text)'));
    await c.ready(query("INSERT INTO w VALUES (3, 'own')"));
    await thrice();
    await c.ready(query('DROP TABLE w'));
    await thrice();
    await c.ready(query("SET DateStyle TO 'German'"));
    for (let i = 0; i < 3; i++) await c.ready(query('SELECT at FROM w WHERE id = 3'));
    await c.ready(query('SET standard_conforming_strings TO off'));
    for (let i = 0; i < 3; i++) await c.ready(query("SELECT 'ab' FROM wt WHERE k = 'k1' LIMIT 1"));
    await c.ready(query('RESET ALL'));
    await thrice();
  }),
  talk('again: the schema changes', async (c) => {
    const read = async () => {
      for (let i = 0; i < 3; i++) await c.ready(query("SELECT * FROM wt WHERE k = 'k2' ORDER BY v LIMIT 1"));
      await c.ready(...extendedRun('SELECT * FROM wt WHERE k = $1 ORDER BY v LIMIT 1', ['k2']));
    };
    await read();
    await c.ready(query("ALTER TABLE wt ADD COLUMN more text DEFAULT 'm'"));
    await read();
    await c.ready(query('ALTER TABLE wt DROP COLUMN more'));
    await read();
  }),
  talk('again: rows change under what the client was told of them', async (c) => {
    await c.ready(
      ...[
        parse('SELECT * FROM wt WHERE k = $1 AND v < 6', { name: 'all' }),
        parse('SELECT v FROM wt WHERE k = $1 AND v < 6', { name: 'v' }),
      ],
      ...[parse('DELETE FROM wt WHERE k = $1', { name: 'd' }), sync()],
    );
    const read = async () => {
      for (const statement of ['all', 'v', 'd', 'all', 'v', 'd'])
        await c.ready(bind({ statement, values: [statement === 'd' ? 'none' : 'k2'] }), execute(), sync());
    };
    await read();
    for (const change of [
      'ADD COLUMN more text',
      'DROP COLUMN more',
      'ALTER COLUMN v TYPE bigint',
      'ALTER COLUMN v TYPE int',
    ]) {
      await c.ready(query(`ALTER TABLE wt ${change}`));
      await read();
    }
    await c.ready(query('BEGIN'));
    await c.ready(query('ALTER TABLE wt ADD COLUMN more text'));
    await c.ready(bind({ statement: 'v', values: ['k2'] }), execute(), sync());
    await c.ready(bind({ statement: 'all', values: ['k2'] }), execute(), sync());
    await c.ready(query('ROLLBACK'));
    await read();
  }),
  {
    name: 'again: columns come and go while statements wait for a lock',
    run: async (address, open) => {
      const [changing, reading] = [open(await RawConnection.login(address)), open(await RawConnection.login(address))];
      const read = query("SELECT * FROM wt WHERE k = 'k2' AND v < 6");
      await reading.ready(parse('SELECT * FROM wt WHERE k = $1 AND v < 6', { name: 'r' }), sync());
      const meanwhile = async (change: string, ...asked: readonly Buffer[]) => {
        // Servers have connections for both.
        for (const sql of ['BEGIN', 'SELECT count(*) FROM wt']) await changing.ready(query(sql));
        for (let i = 0; i < 3; i++) await reading.ready(read);
        await changing.ready(query('COMMIT'));
        await changing.ready(query('BEGIN'));
        await changing.ready(query(`ALTER TABLE wt ${change}`));
        const answered = reading.ready(...asked);
        await new Promise((resolve) => setTimeout(resolve, 200));
        await changing.ready(query('COMMIT'));
        await answered;
        await reading.ready(read);
      };
      await meanwhile('ADD COLUMN more text', read);
      await meanwhile('DROP COLUMN more', read);
      await meanwhile('ADD COLUMN more text', bind({ statement: 'r', values: ['k2'] }), execute(), sync());
      await changing.ready(query('ALTER TABLE wt DROP COLUMN more'));
    },
  },
  talk('again: unnamed statements', async (c) => {
    for (let i = 0; i < 3; i++) {
      for (const id of ['1', '2', '21', null, ' 7 ', '-1', '0x1F'])
        await c.ready(...extendedRun('SELECT id, t, n FROM w WHERE id = $1', [id]));
      await c.ready(...extendedRun('SELECT id, $2 FROM w WHERE id = $1', ['3', 'v'], [20, 25]));
      await c.ready(...extendedRun('UPDATE w SET t = $1 WHERE id = $2', ['again', '3']));
      await c.ready(...extendedRun('UPDATE w SET n = $2 WHERE id = $1 RETURNING n', ['3', '1.239']));
      await c.ready(...extendedRun('INSERT INTO w (id, t) VALUES ($1, $2)', [String(100 + i), 'n']));
      await c.ready(...extendedRun('INSERT INTO w (id, t) VALUES ($1, $2)', ['100', 'n']));
      await c.ready(...extendedRun('DELETE FROM w WHERE id = $1 AND t = $2', [String(100 + i), 'n']));
      await c.ready(...extendedRun('SELECT v FROM wt WHERE k = $1 ORDER BY v', ['k3']));
      await c.ready(...extendedRun('SELECT id FROM w WHERE id = 4 AND t = $1', ['t4']));
      await c.ready(...extendedRun('BEGIN', []));
      await c.ready(...extendedRun('SELECT id FROM w WHERE id = $1', ['9']));
      await c.ready(execute(), sync());
      await c.ready(...extendedRun('COMMIT', []));
    }
  }),
  talk('again: named statements, in and out of blocks', async (c) => {
    await c.ready(parse('SELECT t, n FROM w WHERE id = $1', { name: 'r' }), sync());
    await c.ready(parse('UPDATE w SET n = n + $1 WHERE id = $2', { name: 'u' }), sync());
    const run = (statement: string, values: string[]) =>
      c.ready(bind({ statement, values }), describe('P'), execute(), sync());
    for (let i = 0; i < 4; i++) {
      await run('r', ['3']);
      await run('u', ['1', '3']);
      await c.ready(query('BEGIN'));
      await run('u', ['1', '3']);
      await run('r', ['3']);
      await run('u', ['x', '3']);
      await run('r', ['3']);
      await c.ready(query('COMMIT'));
      await c.ready(bind({ statement: 'r', values: ['3'] }), execute('', 1), sync());
      await c.ready(bind({ statement: 'r', values: ['3'] }), describe('P'), execute(), close('P', ''), sync());
      await c.ready(bind({ statement: 'r', values: ['3', '4'] }), describe('P'), execute(), sync());
      await c.ready(bind({ statement: 'nope', values: [] }), describe('P'), execute(), sync());
    }
  }),
  talk('again: changes over several nodes', async (c) => {
    await c.ready(query('ALTER TABLE w ADD CHECK (n > -1000) NOT VALID; UPDATE w SET n = 1 WHERE id < 50'));
    await c.ready(parse('UPDATE w SET n = n + $1 WHERE id BETWEEN $2 AND $3', { name: 'u' }), sync());
    await c.ready(parse('DELETE FROM w WHERE t = $1 AND id > $2', { name: 'd' }), sync());
    await c.ready(parse('UPDATE w SET n = n / $1', { name: 'by' }), sync());
    const run = (statement: string, values: (string | null)[]) =>
      c.ready(bind({ statement, values }), describe('P'), execute(), sync());
    for (let i = 0; i < 3; i++) {
      await run('u', ['1', '2', '9']);
      await run('u', ['1', '1000', '1009']);
      await run('u', ['1', null, '9']);
      await run('u', ['-5000', '2', '2']);
      await run('by', ['0']);
      await run('by', ['1']);
      await run('d', ['none', '1']);
      await c.ready(bind({ statement: 'u', values: ['1', '2', '9'] }), execute(), sync());
      await c.ready(bind({ statement: 'u', values: ['1', '2'] }), execute(), sync());
      await c.ready(...extendedRun('UPDATE w SET t = $1 WHERE id < $2', [`v${i}`, '8']));
      await c.ready(...extendedRun('UPDATE w SET t = $1 WHERE id < $2 AND n / 0 > 1', ['v', '8']));
      await c.ready(query('BEGIN'));
      await run('u', ['1', '2', '9']);
      await c.ready(query('ROLLBACK'));
      await c.ready(query('SET plan_cache_mode = force_custom_plan'));
      await run('u', ['1', '2', '9']);
      await c.ready(query('SHOW plan_cache_mode'));
      await c.ready(query('RESET plan_cache_mode'));
      await run('u', ['1', '2', '9']);
      await c.ready(query('SELECT id, t, n FROM w WHERE id < 12 ORDER BY id'));
    }
  }),
  talk('again: what sequences gave is known as soon as the block has ended', async (c) => {
    for (let i = 0; i < 40; i++)
      await c.readyTimes(
        4,
        ...[
          'BEGIN',
          'INSERT INTO ws (id) VALUES (5) RETURNING s',
          'COMMIT',
          "SELECT lastval(), currval('ws_s_seq')",
        ].map(query),
      );
  }),
  talk("again: the transaction's clock", async (c) => {
    const statements = [
      'UPDATE w SET at = now() WHERE id = 3',
      'SELECT at = localtimestamp, current_date = now()::date, 7 FROM w WHERE id = 3',
      "INSERT INTO w (id, t, at) VALUES (300, 'c', CURRENT_TIMESTAMP) ON CONFLICT (id) DO UPDATE SET at = CURRENT_TIMESTAMP(0)",
      'SELECT count(*) FROM w WHERE at = now()',
    ];
    await inBlock(c, ...statements.slice(0, 2), 'COMMIT');
    await inBlock(c, ...statements, 'COMMIT');
    await inBlock(c, ...statements.slice(0, 2), "SET TIME ZONE 'Asia/Tokyo'", ...statements.slice(0, 2), 'COMMIT');
    for (let i = 0; i < 3; i++) {
      await c.ready(query('BEGIN'));
      for (const id of ['3', '4', '5']) {
        await c.ready(...extendedRun('UPDATE w SET at = now() WHERE id = $1', [id]));
        await c.ready(...extendedRun('SELECT at = now(), $2::int FROM w WHERE id = $1', [id, '5']));
      }
      await c.ready(query('SELECT count(*) FROM w WHERE at = now() AND id IN (3, 4, 5)'));
      await c.ready(query('COMMIT'));
    }
    await inBlock(c, 'SELECT now() = (SELECT max(at) FROM w WHERE id = 3), 1 / (id - 3) FROM w WHERE id = 3', 'COMMIT');
  }),
  talk('again: a text that lacks its end', async (c) => {
    for (let i = 0; i < 3; i++) await c.ready(query('SELECT t FROM w WHERE id = 3'));
    await c.ready(rawFrame('Q', Buffer.from('SELECT t FROM w WHERE id = 35')));
  }),
  talk('again: several at once', (c) =>
    c.readyTimes(
      12,
      ...[1, 2, 3].flatMap((id) => [
        query(`SELECT t FROM w WHERE id = ${id}`),
        ...extendedRun('SELECT t FROM w WHERE id = $1', [String(id)]),
        query(`SELECT t FROM w WHERE id = ${id} AND 1 / (id - 2) <> 9`),
        ...extendedRun('SELECT count(*) FROM w', []),
      ]),
    ),
  ),
  talk('again: binary values and results', async (c) => {
    const four = Buffer.from([0, 0, 0, 4]);
    const eight = Buffer.from([0, 0, 0, 0, 0, 0, 0, 4]);
    for (let i = 0; i < 3; i++) {
      await c.ready(
        ...[parse('SELECT id, n FROM w WHERE id = $1'), bind({ values: [four], formats: [1], results: [1] })],
        ...[describe('P'), execute(), sync()],
      );
      await c.ready(
        ...[
          parse('SELECT id, n FROM w WHERE id = $1', { types: [20] }),
          bind({ values: [eight], formats: [1], results: [1, 0] }),
        ],
        ...[describe('P'), execute(), sync()],
      );
    }
  }),
];
