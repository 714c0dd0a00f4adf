import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFixture } from '../fixtures.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';

const folder = findFixture('seed-sql', 'the blocks of the source document');

describe.skipIf(folder === undefined)("the source document's Citus blocks run as they stand", () => {
  let herd: TestHerd;
  let client: pg.Client;
  const notices: string[] = [];

  beforeAll(async () => {
    herd = await startHerd({ nodes: 3 });
    client = new pg.Client({ connectionString: herd.url });
    client.on('notice', (notice) => notices.push(notice.message ?? ''));
    await client.connect();
  });

  afterAll(async () => {
    await client.end();
    await herd.stop();
  });

  const run = (file: string) =>
    client.query(readFileSync(join(folder!, file), 'utf8')) as unknown as Promise<pg.QueryResult[]>;

  test('block 1: the extension is built in, and nodes that are known already stay what they are', async () => {
    await run('01-citus-cluster.sql');
    expect(notices.some((notice) => /built in/.test(notice))).toBe(true);
    const { rows } = await client.query('SELECT count(*)::int AS count FROM citus_get_active_worker_nodes()');
    expect(rows).toEqual([{ count: 3 }]);
  });

  test('block 2: a table with a serial key and a unique email is spread over 32 shards', async () => {
    const results = await run('02-citus-tables.sql');
    expect(results.at(-1)!.rows).toHaveLength(32);
    expect(new Set(results.at(-1)!.rows.map((row) => row.nodename)).size).toBe(3);
    expect(notices.some((notice) => /already distributed/.test(notice))).toBe(true);
  });

  test('its serial key counts, its email is unique over all nodes, and leads to the row', async () => {
    const insert =
      "INSERT INTO distributed_users (username, email) SELECT 'u' || g, 'u' || g || '@x' FROM generate_series(1, 50) g";
    await client.query(insert);
    const ids = await client.query('SELECT array_agg(user_id ORDER BY user_id) AS ids FROM distributed_users');
    expect(ids.rows[0].ids).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    await expect(
      client.query("INSERT INTO distributed_users (username, email) VALUES ('again', 'u7@x')"),
    ).rejects.toMatchObject({ code: '23505', constraint: 'distributed_users_email_key' });
    await expect(client.query("UPDATE distributed_users SET email = 'u1@x' WHERE user_id = 2")).rejects.toMatchObject({
      code: '23505',
    });
    await client.query("UPDATE distributed_users SET email = 'new@x' WHERE user_id = 2");
    await client.query("INSERT INTO distributed_users (username, email) VALUES ('freed', 'u2@x')");
    await client.query("DELETE FROM distributed_users WHERE email = 'u3@x'");
    await client.query("INSERT INTO distributed_users (username, email) VALUES ('freed', 'u3@x')");
    const { rows } = await client.query(
      'SELECT count(*)::int AS count, count(DISTINCT email)::int AS emails FROM distributed_users',
    );
    expect(rows).toEqual([{ count: 51, emails: 51 }]);
  });
});
