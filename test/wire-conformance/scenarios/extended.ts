import { bind, close, describe, execute, flush, int32, parse, query, sync } from '../frames.ts';
import { type Scenario, talk } from '../scenario.ts';

/** The extended query protocol. */
export const extended: readonly Scenario[] = [
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
