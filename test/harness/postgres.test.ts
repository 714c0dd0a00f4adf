import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HerdServers, startHerdServers, startPostgres } from './postgres.ts';

async function ask(port: number, sql: string): Promise<string> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return rows.map((row) => row.join('|')).join('\n');
  } finally {
    await client.end();
  }
}

describe.each([18, 15] as const)('a herd of test servers on PostgreSQL %i', (version) => {
  let herd: HerdServers;
  beforeAll(async () => {
    herd = await startHerdServers({ nodes: 2, version });
  });
  afterAll(async () => herd?.stop());

  test('has the version asked for on every server', async () => {
    for (const { port } of [herd.coordinator, ...herd.nodes]) {
      expect(await ask(port, "SELECT current_setting('server_version_num')::int / 10000")).toBe(String(version));
    }
  });

  test('names its nodes worker1, worker2', () => {
    expect(herd.nodes.map((node) => node.name)).toEqual(['worker1', 'worker2']);
  });

  test('can prepare transactions and count statements', async () => {
    expect(await ask(herd.coordinator.port, 'SHOW max_prepared_transactions')).toBe('200');
    await ask(herd.nodes[0]!.port, 'CREATE EXTENSION pg_stat_statements');
    expect(await ask(herd.nodes[0]!.port, 'SELECT count(*) > 0 FROM pg_stat_statements')).toBe('true');
  });

  test('sorts by code point and is UTF8', async () => {
    const sql =
      "SELECT string_agg(x, '' ORDER BY x), current_setting('server_encoding') FROM unnest('{b,é,B,a}'::text[]) x";
    expect(await ask(herd.coordinator.port, sql)).toBe('Babé|UTF8');
    expect(await ask(herd.coordinator.port, "SELECT upper('é')")).toBe('É');
  });
});

test('a test server takes settings', async () => {
  const server = await startPostgres({ settings: { work_mem: '17MB' } });
  expect(await ask(server.port, 'SHOW work_mem')).toBe('17MB');
  await server.stop();
  await expect(ask(server.port, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
});
