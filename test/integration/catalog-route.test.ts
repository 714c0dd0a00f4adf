import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { askShards } from '../../src/catalog/ask.ts';
import {
  boundsCheckSql,
  boundsSql,
  canonicalLiteralsSql,
  checkBoundsSql,
  partitionKeySql,
} from '../../src/catalog/bounds-sql.ts';
import type { KeyValue } from '../../src/catalog/hash/datum.ts';
import { classifyKeyType, describeKeyType } from '../../src/catalog/key-type.ts';
import { loadSnapshot } from '../../src/catalog/load.ts';
import { compileRouter, type ShardRouting } from '../../src/catalog/route.ts';
import { installCatalog } from '../../src/catalog/schema-sql.ts';
import type { DistributedTable, KeyColumn, KeyedMethod, ShardBounds } from '../../src/catalog/snapshot.ts';
import type { SqlRunner } from '../../src/core/runner.ts';
import { startPostgres, type TestServer } from '../harness/postgres.ts';
import { runnerOf } from './catalog-runner.ts';

interface RouteCase {
  readonly title: string;
  readonly column: string;
  readonly method: KeyedMethod;
  readonly bounds: readonly ShardBounds[];
  readonly values: readonly (string | null)[];
  /** TypeScript never knows; every row is asked. */
  readonly alwaysAsked?: true;
}

const hash = (modulus: number): ShardBounds[] =>
  Array.from({ length: modulus }, (_, remainder) => ({ kind: 'hash', modulus, remainder }));
const ranges = (...edges: (string | null)[]): ShardBounds[] =>
  edges.slice(1).map((to, i) => ({ kind: 'range', from: edges[i]!, to }));
const lists = (...values: (string | null)[][]): ShardBounds[] => values.map((each) => ({ kind: 'list', values: each }));
const otherwise: ShardBounds = { kind: 'default' };
const sample = (arbitrary: fc.Arbitrary<string>): string[] => fc.sample(arbitrary, 300);
const numbers = sample(fc.integer({ min: -60, max: 60 }).map(String));
const decimals = sample(
  fc
    .tuple(fc.integer({ min: -99999, max: 99999 }), fc.integer({ min: 0, max: 7 }))
    .map(([n, scale]) => (n / 10 ** scale).toFixed(scale)),
);
const words = sample(
  fc.string({ unit: fc.constantFrom('a', 'b', 'm', 'z', ' ', 'é', 'Z', '😀', '\u{fffd}'), maxLength: 4 }),
);

const cases: readonly RouteCase[] = [
  {
    title: 'RANGE of int8',
    column: 'int8',
    method: 'range',
    bounds: ranges('-9223372036854775808', '-5', '0', '17', '9223372036854775807'),
    values: [...numbers, '9223372036854775806', '-9223372036854775808', '4294967296', '-4294967297'],
  },
  {
    title: 'RANGE of int4 with open ends, out of order',
    column: 'int4',
    method: 'range',
    bounds: [...ranges('10', null), ...ranges(null, '-10', '10')],
    values: [...numbers, '2147483647', '-2147483648'],
  },
  {
    title: 'RANGE with a hole and DEFAULT',
    column: 'int4',
    method: 'range',
    bounds: [...ranges('0', '10'), otherwise, ...ranges('20', '30')],
    values: [...numbers, null],
  },
  {
    title: 'RANGE of numeric',
    column: 'numeric',
    method: 'range',
    bounds: ranges('-Infinity', '-10000.5', '-1', '-0.01', '0', '0.0001', '1', '100', '9999.9999', 'Infinity'),
    values: [...decimals, '-Infinity', '1e-300', '-1e-300', '1.000', '1e900'],
  },
  {
    title: 'RANGE of float8',
    column: 'float8',
    method: 'range',
    bounds: ranges('-Infinity', '-1', '0', '1', 'NaN'),
    values: [...decimals, '-0', 'Infinity', '-Infinity', '1e300'],
  },
  {
    title: 'RANGE of date',
    column: 'date',
    method: 'range',
    bounds: ranges(null, '2023-12-31', '2024-02-29', '2024-03-01', 'infinity'),
    values: [
      '-infinity',
      '0001-01-01',
      '2023-12-30',
      '2023-12-31',
      '2024-02-28',
      '2024-02-29',
      '2024-03-01',
      '9999-12-31',
      '0044-03-15 BC',
    ],
  },
  {
    title: 'RANGE of timestamptz',
    column: 'timestamptz',
    method: 'range',
    bounds: ranges(null, '2024-01-01 05:45:00+05:45', '2024-01-01 02:00:01+02', null),
    values: [
      '2024-01-01 00:00:00+00',
      '2023-12-31 23:59:59.999999Z',
      '2024-01-01 05:44:00',
      '2024-01-01 05:46:00',
      'infinity',
      '-infinity',
    ],
  },
  {
    title: 'RANGE of text COLLATE "C"',
    column: 'text COLLATE "C"',
    method: 'range',
    bounds: ranges(null, 'a', 'am', 'm', 'z', 'é', null),
    values: words,
  },
  {
    title: 'RANGE of text in the order of C.UTF-8',
    column: 'text',
    method: 'range',
    bounds: ranges(null, 'a', 'b', 'é', null),
    values: words,
  },
  {
    title: 'RANGE of a linguistic collation',
    column: 'text COLLATE "en-x-icu"',
    method: 'range',
    bounds: ranges(null, 'a', 'b', 'm', null),
    values: words,
    alwaysAsked: true,
  },
  {
    title: 'RANGE of char(4)',
    column: 'char(4) COLLATE "C"',
    method: 'range',
    bounds: ranges(null, 'a', 'ab', 'm', null),
    values: words,
  },
  {
    title: 'RANGE of uuid',
    column: 'uuid',
    method: 'range',
    bounds: ranges(null, '40000000-0000-0000-0000-000000000000', '80000000-0000-0000-0000-000000000000', null),
    values: sample(fc.uuid()),
  },
  {
    title: 'RANGE of inet, whose order TypeScript does not know',
    column: 'inet',
    method: 'range',
    bounds: ranges(null, '10.0.0.0/8', '10.0.0.1', null),
    values: ['9.9.9.9', '10.0.0.0/8', '10.0.0.0', '10.0.0.1', '::1'],
    alwaysAsked: true,
  },
  {
    title: 'RANGE of an enum',
    column: 'mood',
    method: 'range',
    bounds: ranges(null, 'ok', null),
    values: ['sad', 'ok', 'happy'],
    alwaysAsked: true,
  },
  {
    title: 'LIST of text with NULL',
    column: 'text',
    method: 'list',
    bounds: lists(['a', "it's"], ['b', null, '\\'], ['']),
    values: ['a', "it's", 'b', '\\', '', null],
  },
  {
    title: 'LIST with DEFAULT',
    column: 'text',
    method: 'list',
    bounds: [...lists(['a'], ['b']), otherwise],
    values: [...words, 'a', 'b', null],
  },
  {
    title: 'LIST of numeric',
    column: 'numeric',
    method: 'list',
    bounds: [...lists(['1', '0'], ['2.50'], ['NaN']), otherwise],
    values: ['1.000', '1', '01', '2.5', '2.50', 'NaN', '-0', '0.00', '3', '1e0'],
  },
  {
    title: 'LIST of int2',
    column: 'int2',
    method: 'list',
    bounds: lists(['1', '2'], ['-3', '32767']),
    values: ['1', '2', '-3', '+1', ' 32767'],
  },
  {
    title: 'LIST of a nondeterministic collation',
    column: 'text COLLATE blind',
    method: 'list',
    bounds: lists(['a'], ['B']),
    values: ['a', 'A', 'b', 'B'],
    alwaysAsked: true,
  },
  {
    title: 'LIST of an enum',
    column: 'mood',
    method: 'list',
    bounds: lists(['ok'], ['sad', 'happy']),
    values: ['sad', 'ok', 'happy'],
    alwaysAsked: true,
  },
  { title: 'LIST of a domain', column: 'age', method: 'list', bounds: lists(['1'], ['2']), values: ['1', '2'] },
  {
    title: 'LIST of bool',
    column: 'bool',
    method: 'list',
    bounds: lists(['t'], ['f']),
    values: ['t', 'f', 'yes', 'no', 'of'],
  },
  {
    title: 'HASH of a domain',
    column: 'age',
    method: 'hash',
    bounds: hash(4),
    values: [...numbers.filter((n) => Number(n) > 0), null],
  },
  {
    title: 'HASH of jsonb',
    column: 'jsonb',
    method: 'hash',
    bounds: hash(4),
    values: ['1', '{"a": [1, 2]}', '"x"', '{"b":2,"a":1}', null],
    alwaysAsked: true,
  },
  {
    title: 'HASH of an array',
    column: 'int[]',
    method: 'hash',
    bounds: hash(4),
    values: ['{}', '{1}', '{1,2,NULL}', '{{1},{2}}'],
    alwaysAsked: true,
  },
  {
    title: 'HASH of a range',
    column: 'int4range',
    method: 'hash',
    bounds: hash(3),
    values: ['[1,5)', '[1,4]', 'empty', '(,)'],
    alwaysAsked: true,
  },
  {
    title: 'HASH of dates in every spelling',
    column: 'date',
    method: 'hash',
    bounds: hash(7),
    values: ['2024-01-02', 'Jan 3, 2024', '20240104', 'infinity', '0044-03-15 BC'],
  },
  {
    title: 'HASH of timestamps with and without offset',
    column: 'timestamptz',
    method: 'hash',
    bounds: hash(7),
    values: ['2024-01-02 10:00+00', '2024-01-02 10:00', '2024-01-02 10:00 Asia/Tokyo'],
  },
  {
    title: 'HASH of text in a linguistic collation',
    column: 'text COLLATE "en-x-icu"',
    method: 'hash',
    bounds: hash(7),
    values: words,
  },
];

/** Versions 15 and 18 are enough of a difference for functions, casts and collations. */
describe.each([18, 15] as const)('routing against PostgreSQL %i', (version) => {
  let server: TestServer;
  let client: pg.Client;
  let runner: SqlRunner;

  beforeAll(async () => {
    server = await startPostgres({ version });
    client = new pg.Client({ host: server.host, port: server.port, user: 'postgres', database: 'postgres' });
    await client.connect();
    runner = runnerOf(client);
    await installCatalog(runner);
    await client.query("SET timezone = 'Asia/Kathmandu'");
    await client.query("INSERT INTO pgherd.node (name, host, port) VALUES ('n', 'h', 1)");
    await client.query(`CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN age AS smallint CHECK (VALUE > 0);
      CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`);
  });
  afterAll(async () => {
    await client?.end();
    await server?.stop();
  });
  beforeEach(async () => {
    await client.query(
      'DROP TABLE IF EXISTS parted; DELETE FROM pgherd.dist_table; DELETE FROM pgherd.colocation_group',
    );
  });

  /** A partitioned table that PostgreSQL routes by itself, entered in the catalog as a distributed one with the same bounds. */
  async function distribute(
    column: string,
    method: KeyedMethod,
    bounds: readonly ShardBounds[],
  ): Promise<DistributedTable> {
    await client.query(`CREATE TABLE parted (k ${column}) PARTITION BY ${partitionKeySql(method, ['k'])}`);
    for (const [i, each] of bounds.entries()) {
      await client.query(
        `CREATE TABLE parted_${i} PARTITION OF parted ${boundsSql(each).replace(/^DEFAULT$/, 'DEFAULT')}`,
      );
    }
    await client.query("INSERT INTO pgherd.colocation_group VALUES (1, $1, $2, '{}')", [method, bounds.length]);
    await client.query(
      'INSERT INTO pgherd.group_shard SELECT 1, place - 1, (SELECT node_id FROM pgherd.node), b FROM jsonb_array_elements($1) WITH ORDINALITY v(b, place)',
      [JSON.stringify(bounds)],
    );
    await client.query(`INSERT INTO pgherd.dist_table (relation, method, key_columns, colocation_id) VALUES ('parted'::regclass, '${method}', '{1}', 1);
      INSERT INTO pgherd.shard (relation, shard_index) SELECT 'parted'::regclass, k FROM generate_series(0, ${bounds.length - 1}) k`);
    return (await loadSnapshot(runner)).relations.get('public')!.get('parted')!.distributed!;
  }

  const keyOf = (table: DistributedTable): KeyColumn => {
    if (table.distribution.kind !== 'distributed') throw new Error('not distributed');
    return table.distribution.keys[0]!;
  };
  const value = (text: string | null): KeyValue => (text === null ? null : { format: 0, bytes: Buffer.from(text) });

  /** The partition each value lands in when PostgreSQL inserts it. */
  async function landings(values: readonly (string | null)[], key: KeyColumn): Promise<string[]> {
    const { rows } = await runner.query(
      `WITH landed AS (INSERT INTO parted SELECT t::${key.typeName} FROM unnest($1::text[]) t RETURNING tableoid::regclass::text AS leaf)
       SELECT substr(leaf, 8) FROM landed`,
      [values as unknown as string],
    );
    return rows.map((row) => row[0]!);
  }

  test.each(cases)(
    '$title: rows go where PostgreSQL puts them',
    async ({ column, method, bounds, values, alwaysAsked }) => {
      const table = await distribute(column, method, bounds);
      const key = keyOf(table);
      // char(4) cuts longer words: routers take values of the column's own type.
      const fit = column.startsWith('char') ? values.map((text) => text && [...text].slice(0, 4).join('')) : values;
      const expected = await landings(fit, key);
      const route = compileRouter(table);
      const routed: ShardRouting[] = fit.map((text) => route([value(text)]));
      const asked = await askShards(
        runner,
        table,
        fit.map((text) => [value(text)]),
      );
      expect(asked.map(String)).toEqual(expected);
      expect(
        routed.map((shard, i) => (shard === 'ask' ? 'ask' : String(shard)) === 'ask' || String(shard) === expected[i]),
      ).not.toContain(false);
      const askedCount = routed.filter((shard) => shard === 'ask').length;
      const present = fit.filter((text) => text !== null).length;
      if (alwaysAsked) expect(askedCount).toBe(present);
      else expect(askedCount).toBeLessThan(Math.max(present, 1));
    },
  );

  test('values that no shard takes have none', async () => {
    const ranged = await distribute('int4', 'range', ranges('0', '10', '20'));
    for (const text of ['-1', '20', null]) expect(compileRouter(ranged)([value(text)])).toBe('none');
    expect(await askShards(runner, ranged, [[value('-1')], [value('20')], [value(null)], [value('19')]])).toEqual([
      'none',
      'none',
      'none',
      1,
    ]);
    await client.query('DROP TABLE parted; DELETE FROM pgherd.dist_table; DELETE FROM pgherd.colocation_group');
    const listed = await distribute('text', 'list', lists(['a'], ['b']));
    for (const text of ['c', '', null]) expect(compileRouter(listed)([value(text)])).toBe('none');
  });

  test('a value in binary form of a type that must be asked is refused, not guessed', async () => {
    const table = await distribute('int4range', 'hash', hash(2));
    await expect(askShards(runner, table, [[{ format: 1, bytes: Buffer.alloc(5) }]])).rejects.toMatchObject({
      code: '0A000',
    });
  });

  test.each([
    ['range', 'int4', ranges('0', '10', '20')],
    ['range', 'text COLLATE "C"', ranges(null, "it's", 'm')],
    ['list', 'text', lists(['a', "it's"], ['\\'])],
    ['list', 'text', lists(['a', null], ['b'])],
  ] as const)(
    'a DEFAULT leaf by %s of %s refuses what belongs elsewhere, and nothing else',
    async (method, column, others) => {
      const table = await distribute(column, method, [...others, otherwise]);
      const key = keyOf(table);
      await client.query(
        `DROP TABLE IF EXISTS alone; CREATE TABLE alone (k ${column}, CONSTRAINT mine CHECK (${boundsCheckSql(key, others)}))`,
      );
      const values = ['-1', '0', '9', '10', '25', 'a', "it's", 'b', '\\', 'z', null].filter(
        (text) => column !== 'int4' || text === null || /\d/.test(text),
      );
      for (const text of values) {
        const [landed] = await landings([text], key);
        const inserted = client.query(`INSERT INTO alone VALUES ($1)`, [text]).then(
          () => 'taken',
          (error) => error.constraint,
        );
        expect([text, await inserted]).toEqual([text, landed === String(others.length) ? 'taken' : 'mine']);
      }
    },
  );

  test('bounds are checked by PostgreSQL itself, without a trace', async () => {
    const key = keyOf(await distribute('int4', 'range', ranges('0', '1')));
    const check = (bounds: ShardBounds[]) => client.query(checkBoundsSql('range', key, bounds));
    await check([...ranges('0', '10', '20'), otherwise]);
    await expect(check([...ranges('0', '10'), ...ranges('9', '20')])).rejects.toThrow('would overlap');
    await expect(check(ranges('5', '5'))).rejects.toThrow('empty range bound');
    await expect(check(ranges('x', null))).rejects.toThrow('invalid input syntax');
    expect((await runner.query("SELECT to_regclass('pgherd.bounds')")).rows).toEqual([[null]]);
  });

  test('literals are brought into the form of PostgreSQL', async () => {
    const key = keyOf(await distribute('date', 'range', ranges(null, null)));
    const { rows } = await runner.query(canonicalLiteralsSql(key), ['{"Jan 3, 2024",20240104,NULL,infinity}']);
    expect(rows.map((row) => row[0])).toEqual(['2024-01-03', '2024-01-04', null, 'infinity']);
  });

  const keyTypes: readonly [string, string, string, string][] = [
    ['int4', 'integer', 'integer', 'integer'],
    ['age', 'integer', 'integer', 'integer'],
    ['varchar(10)', 'text', 'text', 'text'],
    ['numeric(10,2)', 'numeric', 'numeric', 'numeric'],
    ['text COLLATE "en-x-icu"', 'text', 'RANGE on a text column needs COLLATE "C"', 'text'],
    [
      'text COLLATE blind',
      'a nondeterministic collation may hash differently on another server',
      'RANGE on a text column needs COLLATE "C"',
      'text',
    ],
    ['mood', 'the hash of type mood differs between servers', 'mood', 'mood'],
    ['mood[]', 'the hash of type mood[], which contains mood differs between servers', 'mood[]', 'mood[]'],
    ['holder', 'the hash of type holder, which contains mood differs between servers', 'holder', 'holder'],
    ['regclass', 'the hash of type regclass differs between servers', 'regclass', 'regclass'],
    ['oid', 'oid', 'oid', 'oid'],
    ['int4range', 'int4range', 'int4range', 'int4range'],
    ['int[]', 'integer[]', 'integer[]', 'integer[]'],
    ['money', 'type money has no default hash operator class', 'money', 'money'],
    ['money[]', 'type money[], which contains money has no default hash operator class', 'money[]', 'money[]'],
    [
      'json',
      'type json has no default hash operator class',
      'type json has no default btree operator class',
      'type json has no default btree operator class',
    ],
    [
      'point',
      'type point has no default hash operator class',
      'type point has no default btree operator class',
      'type point has no default btree operator class',
    ],
  ];
  test.each(keyTypes)('%s is or is not a key', async (column, byHash, byRange, byList) => {
    await client.query(`CREATE TYPE holder AS (a int, b mood[]); CREATE TABLE t (k ${column})`);
    const { rows } = await runner.query(
      "SELECT atttypid, attcollation FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 1",
    );
    const facts = await describeKeyType(runner, Number(rows[0]![0]), Number(rows[0]![1]));
    await client.query('DROP TABLE t; DROP TYPE holder');
    const said = (method: KeyedMethod) => {
      const answer = classifyKeyType(method, facts);
      return answer.kind === 'key' ? answer.family : answer.reason;
    };
    expect([said('hash'), said('range'), said('list')]).toEqual([byHash, byRange, byList]);
  });
});
