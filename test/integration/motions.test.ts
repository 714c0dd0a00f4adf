import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { connectRaw } from '../oracle/client.ts';

let herd: TestHerd;
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd();
  client = await connectRaw(herd.url);
  await client.query('CREATE TABLE ref (id int PRIMARY KEY, filler text)');
  await client.query("SELECT create_reference_table('ref')");
  await client.query("INSERT INTO ref SELECT i, repeat('x', 1000) FROM generate_series(1, 4000) i");
});

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

test('rows that the coordinator sends to itself may be too many to carry inline', async () => {
  const { rows } = await client.query(
    `WITH gone AS (DELETE FROM ref WHERE id < 3 RETURNING id)
     SELECT count(*) AS rows, sum(length(filler)) AS chars, (SELECT count(*) FROM gone) AS gone FROM ref`,
  );
  expect(rows).toEqual([{ rows: '4000', chars: '4000000', gone: '2' }]);
}, 30_000);

test('an error that all nodes report while a statement opens is told each time', async () => {
  await client.query('CREATE TABLE t (id int, v text)');
  await client.query("SELECT create_distributed_table('t', 'id')");
  for (let time = 0; time < 150; time++) {
    await expect(client.query({ text: "SELECT * FROM t WHERE v ~ '('", values: [] })).rejects.toMatchObject({
      code: '2201B',
    });
  }
}, 60_000);
