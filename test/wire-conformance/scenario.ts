import { query } from './frames.ts';
import { type Address, RawConnection } from './raw-connection.ts';

/** Gives the connections whose transcripts must be equal on both servers. */
export type Scenario = {
  readonly name: string;
  run(address: Address, open: (connection: RawConnection) => RawConnection): Promise<void>;
};

/** `w` is distributed by id, `wt` by a text key, `wr` is a reference table, `wl` local. */
export const setup = [
  'CREATE TABLE w (id int PRIMARY KEY, t text, n numeric(10,2), at timestamp)',
  'CREATE TABLE wt (k text, v int)',
  'CREATE TABLE wr (id int PRIMARY KEY, name text)',
  'CREATE TABLE wl (id int PRIMARY KEY, name text)',
  'CREATE TABLE ws (id int, s serial)',
  "CREATE TYPE wenum AS ENUM ('a', 'ä')",
  'CREATE TABLE we (id int PRIMARY KEY, e wenum, es wenum[])',
];
export const distribution = [
  "SELECT create_distributed_table('w', 'id')",
  "SELECT create_distributed_table('wt', 'k')",
  "SELECT create_reference_table('wr')",
  "SELECT create_distributed_table('we', 'id')",
  "SELECT create_distributed_table('ws', 'id')",
];
export const rows = [
  "INSERT INTO w SELECT g, 't' || g, g * 1.5, timestamp '2024-01-01' + g * interval '1 hour' FROM generate_series(1, 20) g",
  "INSERT INTO wt SELECT 'k' || g % 5, g FROM generate_series(1, 20) g",
  "INSERT INTO wr VALUES (1, 'eins'), (2, 'zwei')",
  "INSERT INTO wl VALUES (1, 'lokal')",
  "INSERT INTO we VALUES (1, 'a', '{a,ä}'), (2, 'ä', NULL)",
];

type Talk = (connection: RawConnection) => Promise<void>;

/** A scenario on one connection that has logged in. */
export function talk(name: string, run: Talk, parameters: Readonly<Record<string, string>> = {}): Scenario {
  return {
    name,
    run: async (address, open) => run(open(await RawConnection.login(address, parameters))),
  };
}

/** A simple query per line. */
export const queries = (name: string, ...sql: readonly string[]) =>
  talk(name, async (c) => {
    for (const text of sql) await c.ready(query(text));
  });

/** A row of one shard. */
export const one = (id: number) => `SELECT id, t, n, at FROM w WHERE id = ${id}`;
