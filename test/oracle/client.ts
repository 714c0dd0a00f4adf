import pg from 'pg';

/** A client that hands out every value as the text the server sent. */
export async function connectRaw(url: string): Promise<pg.Client> {
  const getTypeParser = (() => (value: string) => value) as unknown as typeof pg.types.getTypeParser;
  const client = new pg.Client({ connectionString: url, types: { getTypeParser }, connectionTimeoutMillis: 20_000 });
  // A lost connection is reported by the query under way; between queries the next query reports it.
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Empties the database of what an earlier test may have left in `schema`. */
export async function resetSchema(client: pg.Client, schema = 'public'): Promise<void> {
  await client.query('SET client_min_messages TO warning');
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await client.query(`CREATE SCHEMA ${schema}`);
}
