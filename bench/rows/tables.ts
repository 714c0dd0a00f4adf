import type pg from 'pg';
import type { TableName } from './row.ts';

interface Definition {
  readonly name: string;
  readonly columns: string;
  /** Distribution column on the herd. */
  readonly by: string;
  /** SELECT that fills it; empty: it stays empty. */
  readonly rows: string;
}

/** Tables of the rows, by what `Row.tables` calls them, filled for a scale and a number of bulk rows. */
export function tablesOf(name: TableName, { scale, bulkRows }: { scale: number; bulkRows: number }): Definition[] {
  switch (name) {
    case 'accounts':
      return [
        {
          ...{ name: 'accounts', by: 'aid' },
          columns: 'aid integer PRIMARY KEY, bid integer, abalance integer, filler character(84)',
          rows: `SELECT g, (g - 1) / 100000 + 1, 0, '' FROM generate_series(1, ${scale} * 100000) g`,
        },
      ];
    case 'history':
      return [{ name: 'history', by: 'aid', columns: historyColumns, rows: '' }];
    case 'bank':
      return bank(scale);
    case 'bank functions':
      return [];
    case 'event':
      return [{ name: 'event', by: 'id', columns: 'id bigint, amount integer, note text', rows: '' }];
    case 'pair':
      return [
        {
          ...{ name: 'pair', by: 'place' },
          columns: 'place integer, id integer, balance integer, PRIMARY KEY (place, id)',
          rows: `SELECT p, g, 0 FROM generate_series(1, ${pairPlaces}) p, generate_series(1, 10000) g`,
        },
      ];
    case 'visit':
      return visits(bulkRows);
  }
}

/** So many that two of them are on different nodes for certain, whatever the hash. */
const pairPlaces = 12;

const historyColumns = 'tid integer, bid integer, aid integer, delta integer, mtime timestamp, filler character(22)';

function bank(scale: number): Definition[] {
  return [
    {
      ...{ name: 'bank_branch', by: 'bid' },
      columns: 'bid integer PRIMARY KEY, bbalance integer, filler character(88)',
      rows: `SELECT g, 0 FROM generate_series(1, ${scale}) g`,
    },
    {
      ...{ name: 'bank_teller', by: 'bid' },
      columns: 'bid integer, tid integer, tbalance integer, filler character(84), PRIMARY KEY (bid, tid)',
      rows: `SELECT b, t, 0 FROM generate_series(1, ${scale}) b, generate_series(1, 10) t`,
    },
    {
      ...{ name: 'bank_account', by: 'bid' },
      columns: 'bid integer, aid integer, abalance integer, filler character(84), PRIMARY KEY (bid, aid)',
      rows: `SELECT b, a, 0, '' FROM generate_series(1, ${scale}) b, generate_series(1, 100000) a`,
    },
    { name: 'bank_history', by: 'bid', columns: historyColumns, rows: '' },
  ];
}

/** 66 bytes a row as CSV. */
export const visitRowsSql = (rows: number) =>
  `SELECT g, g * 7919 % 100003, round((g % 10007) * 1.01, 2), timestamp '2026-01-01' + g * interval '1 second', md5(g::text)::varchar(20)
     FROM generate_series(1::bigint, ${rows}) g`;

const visitColumns = 'id bigint, person integer, amount numeric(10,2), at timestamp, note text';

function visits(rows: number): Definition[] {
  return [
    { name: 'visit', by: 'id', columns: visitColumns, rows: visitRowsSql(rows) },
    { name: 'visit_bare', by: 'id', columns: visitColumns, rows: '' },
    { name: 'visit_key', by: 'id', columns: `${visitColumns}, PRIMARY KEY (id)`, rows: '' },
    { name: 'visit_by_person', by: 'person', columns: visitColumns, rows: '' },
  ];
}

export async function createTable(client: pg.Client, table: Definition, distribute: boolean): Promise<void> {
  const { name, columns, by, rows } = table;
  await client.query(`DROP TABLE IF EXISTS ${name}`);
  await client.query(`CREATE TABLE ${name} (${columns})`);
  if (distribute) await client.query(`SELECT create_distributed_table('${name}', '${by}')`);
  if (rows !== '') await client.query(`INSERT INTO ${name} ${rows}`);
  await client.query(`VACUUM ANALYZE ${name}`);
}

/** What TPC-B's transaction is as a function, once as it is and once delegated to the node of the branch. */
export async function createFunctions(client: pg.Client, distribute: boolean): Promise<void> {
  for (const name of ['bank_move_here', 'bank_move']) {
    await client.query(`CREATE OR REPLACE FUNCTION ${name}(p_bid integer, p_aid integer, p_tid integer, p_delta integer)
      RETURNS integer LANGUAGE plpgsql AS $$DECLARE left_over integer; BEGIN
        UPDATE bank_account SET abalance = abalance + p_delta WHERE bid = p_bid AND aid = p_aid RETURNING abalance INTO left_over;
        UPDATE bank_teller SET tbalance = tbalance + p_delta WHERE bid = p_bid AND bank_teller.tid = p_tid;
        UPDATE bank_branch SET bbalance = bbalance + p_delta WHERE bid = p_bid;
        INSERT INTO bank_history (tid, bid, aid, delta, mtime) VALUES (p_tid, p_bid, p_aid, p_delta, CURRENT_TIMESTAMP);
        RETURN left_over; END$$`);
  }
  if (!distribute) return;
  const name = 'bank_move(integer, integer, integer, integer)';
  await client.query(`SELECT create_distributed_function('${name}', 'p_bid', 'bank_account', true)`);
}

/** Two values of `pair.place` whose rows are on different nodes; on one node any two. */
export async function pairPlacesOf(herd: pg.Client): Promise<[number, number]> {
  const { rows } = await herd.query(
    'SELECT gp_segment_id AS node, min(place) AS place FROM pair GROUP BY gp_segment_id ORDER BY 1 LIMIT 2',
  );
  return rows.length < 2 ? [1, 2] : [Number(rows[0].place), Number(rows[1].place)];
}
