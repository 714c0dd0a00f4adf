import type pg from 'pg';
import { connectRaw, resetSchema } from '../oracle/client.ts';
import type { Pair } from '../oracle/pair.ts';

const statements = [
  "CREATE TYPE feeling AS ENUM ('sad', 'ok', 'happy')",
  `CREATE TABLE account (id serial PRIMARY KEY, name text NOT NULL, balance numeric(12,2) NOT NULL DEFAULT 0,
    opened timestamptz NOT NULL DEFAULT '2024-01-01 00:00+00', tags text[], info jsonb, feeling feeling, picture bytea)`,
  'CREATE TABLE booking (account_id int NOT NULL, id bigint NOT NULL, amount numeric(12,2), PRIMARY KEY (account_id, id))',
  'CREATE TABLE currency (code char(3) PRIMARY KEY, name text)',
];
const distribution = [
  "SELECT create_distributed_table('account', 'id')",
  "SELECT create_distributed_table('booking', 'account_id', colocate_with => 'account')",
  "SELECT create_reference_table('currency')",
];

/** The tables of the driver tests: two co-located ones and a reference table, empty. */
export async function createDriverTables(pair: Pair): Promise<void> {
  const client: pg.Client = await connectRaw(pair.herd);
  await resetSchema(client);
  for (const statement of [...statements, ...(pair.distributed ? distribution : [])]) await client.query(statement);
  await client.end();
}

/** As they were created: empty, and counting from one. */
export async function emptyDriverTables(pair: Pair): Promise<void> {
  const client: pg.Client = await connectRaw(pair.herd);
  await client.query('TRUNCATE account, booking, currency RESTART IDENTITY');
  await client.end();
}

/** A driver that hangs must not keep the servers from being stopped. */
export async function endWithin(waitMs: number, ended: Promise<unknown> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise((resolve) => {
    timer = setTimeout(resolve, waitMs);
  });
  await Promise.race([ended, patience]);
  clearTimeout(timer);
}
