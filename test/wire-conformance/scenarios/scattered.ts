import { bind, close, describe, execute, parse, query, sync } from '../frames.ts';
import type { RawConnection } from '../raw-connection.ts';
import { queries, type Scenario, talk } from '../scenario.ts';

/*
 * Statements over all shards that come again and again. From the second or third time on the router sends them to all nodes as it has learnt
 * to, and they must be answered as the first time.
 */

const numbers = ['1', '3', '20', '21', '0', '-1', '- 4', '2 + 1', '9 - 4 - 1', '2 * 2', "'5'", '5::int', '5.5', 'NULL'];

const forms: readonly ((value: string) => string)[] = [
  (value) => `SELECT count(*), sum(n), min(t) FROM w WHERE id BETWEEN ${value} AND 9`,
  (value) => `SELECT id, t, n FROM w WHERE id>=${value} AND t = 't9'`,
  (value) => `SELECT id, t FROM w WHERE n=${value} AND t = 't3'`,
  (value) => `SELECT id, 7, 'a' FROM w WHERE id>${value}AND id < 9 ORDER BY 1 DESC LIMIT 3 -- a comment\n`,
  (value) => `SELECT id % 2 AS half, count(*) FROM w WHERE ${value}< id GROUP BY 1 HAVING count(*) > 1 ORDER BY 1;`,
  (value) => `SELECT avg(n)::numeric(7, 2), count(DISTINCT t) FROM w WHERE NOT (id <= ${value} OR id IN (${value}, 7))`,
  (value) => `SELECT count(*) FROM w JOIN wr ON wr.id = w.id % 3 WHERE w.id > ${value} AND wr.name = 'eins'`,
  (value) => `SELECT max(v) FROM wt WHERE v <> ${value}`,
];

const runOf = (statement: string, values: readonly (string | null)[]) => [
  bind({ statement, values: [...values] }),
  ...[describe('P'), execute(), sync()],
];

async function thrice(c: RawConnection, ...messages: readonly Buffer[]): Promise<void> {
  for (let i = 0; i < 3; i++) await c.ready(...messages);
}

async function readTexts(c: RawConnection): Promise<void> {
  for (const low of [3, 5, 7]) await c.ready(query(`SELECT count(*), min(t) FROM w WHERE id > ${low}`));
}

const counted = 'SELECT count(*), min(t) FROM w WHERE id > $1';

export const scatteredReads: readonly Scenario[] = [
  queries(
    'over all shards: texts',
    ...[1, 2, 3].flatMap(() => numbers.flatMap((value) => forms.map((form) => form(value)))),
  ),
  queries(
    'over all shards: numbers that are no values',
    ...[1, 2, 3].flatMap((place) => [
      `SELECT id, n FROM w WHERE id < 4 AND id > 0 ORDER BY ${place}, 1`,
      `SELECT count(*) FROM w WHERE n::numeric(9, ${place}) > 2`,
      `SELECT count(*) FROM w WHERE substring(t, ${place}, 1) = 't'`,
      `SELECT (id + ${place}) / 10, count(*) FROM w WHERE id > ${place} GROUP BY (id + ${place}) / 10 ORDER BY 1`,
      `SELECT id FROM w WHERE n > ${place} ORDER BY id LIMIT ${place} OFFSET ${place}`,
      `SELECT count(*) FROM w WHERE at > '2024-01-0${place}' AND t <> 't${place}'`,
      `SELECT count(*) FROM w WHERE id < ${place}00000000000`,
    ]),
  ),
  queries(
    'over all shards: errors of texts',
    ...[1, 2, 3].flatMap((place) => [
      `SELECT id FROM w WHERE t > ${place}`,
      `SELECT id FROM w WHERE nope > ${place}`,
      `SELECT t::int FROM w WHERE n = 1.5 * ${place}`,
      `SELECT count(*) FROM w WHERE id > ${place}`,
    ]),
  ),
  talk('over all shards: prepared statements', async (c) => {
    await c.ready(
      ...[parse(counted, { name: 'c' }), parse('SELECT id, t FROM w WHERE n = $1', { name: 'r' })],
      ...[parse('SELECT id FROM w WHERE id > $2 AND t <> $1 ORDER BY id LIMIT $3', { name: 'l' }), sync()],
    );
    for (let i = 0; i < 4; i++) {
      for (const low of ['3', '19', '21', ' 5 ', null]) await c.ready(...runOf('c', [low]));
      for (const n of ['3', '4.5', '0', null]) await c.ready(...runOf('r', [n]));
      for (const count of ['0', '2', null, '-1']) await c.ready(...runOf('l', ['t7', '5', count]));
      await c.ready(bind({ statement: 'l', values: ['', '0', '9'] }), execute('', 2), execute('', 0), sync());
      await c.ready(bind({ statement: 'c', values: ['3'] }), describe('P'), execute(), close('P', ''), sync());
      await c.ready(bind({ statement: 'c', values: ['3', '4'] }), execute(), sync());
      await c.ready(query('BEGIN'));
      await c.ready(...runOf('c', ['3']));
      await c.ready(...runOf('r', ['4.5']));
      await c.ready(query('UPDATE w SET n = 100 WHERE id IN (3, 4)'));
      await c.ready(query('SELECT count(*) FROM w WHERE n = 100'));
      await c.ready(...runOf('c', ['3']));
      await c.ready(query('ROLLBACK'));
      await c.ready(query('SELECT count(*) FROM w WHERE n = 100'));
    }
  }),
  talk('over all shards: unnamed statements', async (c) => {
    for (let i = 0; i < 3; i++) {
      for (const low of ['3', '21', null])
        await c.ready(parse(counted), bind({ values: [low] }), describe('P'), execute(), sync());
      await c.ready(parse('SELECT count(*) FROM w'), bind({ values: [] }), execute(), sync());
      const failing = parse('SELECT count(*) FROM w WHERE 1 / (id - $1) > 0');
      await c.ready(failing, bind({ values: ['3'] }), describe('P'), execute(), sync());
      await c.ready(bind({ values: ['4'] }), execute(), sync());
    }
  }),
  talk('over all shards: binary values and results', async (c) => {
    const four = Buffer.from([0, 0, 0, 4]);
    const eight = Buffer.from([0, 0, 0, 0, 0, 0, 0, 4]);
    for (let i = 0; i < 3; i++) {
      const ends = [describe('P'), execute(), sync()];
      await c.ready(parse(counted), bind({ values: [four], formats: [1], results: [1, 0] }), ...ends);
      await c.ready(
        parse('SELECT id, n FROM w WHERE n = $1 * 1.5', { types: [20] }),
        ...[bind({ values: [eight], formats: [1], results: [1] }), ...ends],
      );
    }
  }),
  talk('over all shards: the session changes what statements mean', async (c) => {
    await c.ready(parse(counted, { name: 'c' }), sync());
    // What a statement means where it has no meaning: its text is asked alone.
    for (const [change, isMeant] of [
      ['SET search_path TO pg_catalog', false],
      ['RESET search_path', true],
      ['CREATE ROLE stranger', true],
      ['GRANT USAGE ON SCHEMA public TO stranger', true],
      ['SET ROLE stranger', false],
      ['RESET ROLE', true],
      ['REVOKE USAGE ON SCHEMA public FROM stranger', true],
      ['DROP ROLE stranger', true],
      ['CREATE TEMP TABLE w (id int, t text)', true],
      ["INSERT INTO w VALUES (100, 'own')", true],
      ['DROP TABLE w', true],
      ["SET statement_timeout TO '1min'", true],
      ['SET plan_cache_mode TO force_custom_plan', true],
      ['RESET ALL', true],
    ] as const) {
      await c.ready(query(change));
      await readTexts(c);
      if (isMeant) for (const low of ['3', '5', '7']) await c.ready(...runOf('c', [low]));
    }
    await c.ready(query("SET DateStyle TO 'German'"));
    await thrice(c, query('SELECT at FROM w WHERE n = 4.5'));
    await thrice(c, query('SELECT min(at) FROM w WHERE id > 5'));
    await thrice(c, query('SHOW plan_cache_mode'));
  }),
  talk('over all shards: the schema changes', async (c) => {
    await c.ready(parse('SELECT * FROM wt WHERE v = $1', { name: 'r' }), sync());
    const read = async () => {
      await thrice(c, query('SELECT * FROM wt WHERE v = 3'));
      await thrice(c, query('SELECT count(*), max(v) FROM wt WHERE v < 7'));
      await thrice(c, ...runOf('r', ['4']));
    };
    await read();
    for (const change of [
      "ALTER TABLE wt ADD COLUMN more text DEFAULT 'm'",
      'ALTER TABLE wt DROP COLUMN more',
      'ALTER TABLE wt ALTER COLUMN v TYPE bigint',
      'CREATE INDEX ON wt (v)',
      'ALTER TABLE wt ALTER COLUMN v TYPE int',
    ]) {
      await c.ready(query(change));
      await read();
    }
    await c.ready(query('DROP INDEX wt_v_idx'));
  }),
  talk('over all shards: several at once', (c) =>
    c.readyTimes(
      12,
      ...[1, 2, 3].flatMap((low) => [
        query(`SELECT count(*) FROM w WHERE id > ${low}`),
        ...[parse(counted), bind({ values: [String(low)] }), execute(), sync()],
        ...[parse('SELECT count(*) FROM w WHERE 1 / (id - $1) > 0'), bind({ values: ['3'] }), execute(), sync()],
        query(`SELECT t FROM w WHERE id = ${low}`),
      ]),
    ),
  ),
];
