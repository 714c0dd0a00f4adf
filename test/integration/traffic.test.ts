import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { connectRaw } from '../oracle/client.ts';

let herd: TestHerd;
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd();
  client = await connectRaw(herd.url);
  await client.query('CREATE TABLE t (id int, filler text)');
  await client.query("SELECT create_distributed_table('t', 'id')");
});

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

async function traffic(): Promise<Map<string, { sent: number; received: number }>> {
  const { rows } = await client.query('SELECT * FROM pgherd.server_traffic');
  return new Map(
    rows.map((row) => [row.server, { sent: Number(row.bytes_sent), received: Number(row.bytes_received) }]),
  );
}

test('pgherd.server_traffic counts the bytes of rows that go to nodes and come from them', async () => {
  const start = await traffic();
  await client.query("INSERT INTO t SELECT i, repeat('x', 10000) FROM generate_series(1, 100) i");
  const written = await traffic();
  await client.query('SELECT * FROM t');
  const end = await traffic();
  const grown = (from: typeof start, to: typeof start, way: 'sent' | 'received') =>
    ['worker1', 'worker2'].map((server) => to.get(server)![way] - (from.get(server)?.[way] ?? 0));
  const sent = grown(start, written, 'sent');
  const received = grown(written, end, 'received');
  for (const bytes of [...sent, ...received]) expect(bytes).toBeGreaterThan(200_000);
  for (const each of [sent, received]) expect(each[0]! + each[1]!).toBeLessThan(1_300_000);
});

test('pgherd.server_traffic joins with the list of nodes', async () => {
  await client.query('SELECT * FROM t WHERE id = 1');
  const { rows } = await client.query(
    'SELECT count(*) FROM pg_dist_node JOIN pgherd.server_traffic ON bytes_sent > 0 AND server LIKE $1',
    ['worker%'],
  );
  expect(Number(rows[0].count)).toBe(4);
});

test('pgherd.server_traffic read past the router raises', async () => {
  const { host, port } = herd.coordinator;
  const direct = await connectRaw(`postgresql://postgres@${host}:${port}/postgres`);
  await expect(direct.query('SELECT * FROM pgherd.server_traffic')).rejects.toMatchObject({ code: '0A000' });
  await direct.end();
});
