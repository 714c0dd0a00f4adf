import { describe, expect, test } from 'vitest';
import { parseStatements } from '../sql/parse.ts';
import { fingerprint } from '../sql/walk.ts';
import { argumentsSql, matchAdminCall } from './admin-call.ts';

const match = (sql: string) => matchAdminCall(parseStatements(sql)[0]!.node);

describe('matchAdminCall', () => {
  test('arguments by place, by name, in both notations, and defaults', () => {
    const call = match(
      "SELECT create_distributed_table('users', 'id', colocate_with => 'none', shard_count := $1::int), pg_catalog.create_reference_table('a') AS x",
    )!;
    expect(call.columns).toEqual(['create_distributed_table', 'x']);
    expect(call.invocations).toEqual([
      {
        name: 'create_distributed_table',
        arguments: ["'users'", "'id'", "'hash'", "'none'", expect.stringContaining('$1'), 'NULL'],
      },
      { name: 'create_reference_table', arguments: ["'a'"] },
    ]);
    expect(argumentsSql(call)).toMatch(/^SELECT CAST\(\('users'\) AS text\), CAST/);
    expect(argumentsSql(match('SELECT citus_version()')!)).toBeNull();
  });

  test.each([
    'SELECT 1',
    'UPDATE t SET a = citus_version()',
    "SELECT other.create_reference_table('a')",
    'SELECT create_reference_table(name) FROM tables',
    'SELECT create_reference_table()',
    "SELECT create_reference_table('a', 'b')",
    "SELECT create_reference_table(nope => 'a')",
    "SELECT create_reference_table('a') WHERE false",
    "SELECT create_reference_table('a') FROM generate_series(1, 0)",
    "SELECT CASE WHEN false THEN create_reference_table('a') END",
    "SELECT create_reference_table('a') LIMIT 0",
    "SELECT create_reference_table('a') UNION SELECT citus_add_node('b')",
    "SELECT (SELECT create_reference_table('a'))",
    "WITH x AS (SELECT create_reference_table('a')) SELECT 1",
  ])('%s is left alone', (sql) => {
    expect(match(sql)).toBeNull();
  });

  test.each([
    ["SELECT pg_size_pretty(citus_table_size('t')) AS s", [[['8192']]], "SELECT pg_size_pretty('8192'::bigint) AS s"],
    [
      'SELECT node_name FROM citus_get_active_worker_nodes() AS w WHERE node_port = 1',
      [[['a', '1']]],
      `SELECT node_name FROM (SELECT * FROM json_to_recordset('[{"node_name":"a","node_port":"1"}]') AS r (node_name text, node_port bigint)) AS w WHERE node_port = 1`,
    ],
    [
      'SELECT citus_get_active_worker_nodes()',
      [
        [
          ['a b', '1'],
          ['c', null],
        ],
      ],
      `SELECT unnest(E'{"(\\\\"a b\\\\",1)","(c,)"}'::text[]) AS citus_get_active_worker_nodes`,
    ],
  ])('%s: results take the places of the calls', (sql, results, rest) => {
    const call = match(sql)!;
    expect(call.columns).toBeNull();
    const meaning = (text: string) => fingerprint(parseStatements(text)[0]!.node);
    expect(meaning(call.rest(results.map((rows) => ({ rows }))))).toBe(meaning(rest));
  });
});
