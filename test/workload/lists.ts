import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import type { Operation } from './list-append-checker.ts';

export const append = (key: string, value: number): Operation => ({ kind: 'append', key, value });
export const read = (key: string, ...list: number[]): Operation => ({ kind: 'read', key, list });

export const keys = Array.from({ length: 8 }, (_, i) => `k${i}`);

/** A herd for the tests around the call, with a table `lists` of an empty list for each key, spread over two nodes. Gives a way to connect. */
export function useLists(): () => Promise<pg.Client> {
  let herd: TestHerd;
  const connect = async () => {
    const client = new pg.Client({ connectionString: herd.url });
    await client.connect();
    return client;
  };
  beforeAll(async () => {
    herd = await startHerd({ nodes: 2 });
    const client = await connect();
    await client.query('CREATE TABLE lists (k text PRIMARY KEY, v integer[] NOT NULL)');
    await client.query("SELECT create_distributed_table('lists', 'k')");
    for (const key of keys) await client.query("INSERT INTO lists VALUES ($1, '{}')", [key]);
    await client.end();
  });
  afterAll(() => herd?.stop());
  return connect;
}
