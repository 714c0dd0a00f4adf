import { ConnectionPool } from '../backend/pool.ts';
import type { ServerConnection, ServerTls } from '../backend/server-connection.ts';
import { pgError } from '../core/errors.ts';

/** Where a shard is. Several shards may be on one server: databases of their own, or schemas of one database. */
export interface ShardServer {
  readonly host: string;
  readonly port?: number;
  readonly database?: string;
  readonly user?: string;
  readonly password?: string;
  /** As libpq's sslmode=require, or with `ca` (PEM) as verify-full. Absent: no encryption. */
  readonly tls?: ServerTls;
  /** The shard is this schema of the database: it stands first, alone, in the search_path. */
  readonly schema?: string;
  /** Standbys of the server, for reads that may be behind. The login is the same. */
  readonly replicas?: readonly { readonly host: string; readonly port?: number }[];
}

/** One shard: the pool of its server, and those of its replicas. Shards on the same server, database and schema share them. */
export interface Shard {
  readonly id: number;
  readonly primary: ConnectionPool;
  readonly replicas: readonly ConnectionPool[];
  /** Which replica is asked next. */
  readonly turn: { next: number };
}

/** Pools by what their connections have in common. */
export class ShardPools {
  readonly #maxConnections: number;
  #pools = new Map<string, ConnectionPool>();

  constructor(maxConnections: number) {
    this.#maxConnections = maxConnections;
  }

  shard(id: number, place: ShardServer | string): Shard {
    const server = typeof place === 'string' ? parseShardUrl(place) : place;
    const { host, port = 5432, replicas = [] } = server;
    return {
      id,
      primary: this.#pool(server, { host, port }),
      replicas: replicas.map((replica) => this.#pool(server, { port: 5432, ...replica })),
      turn: { next: 0 },
    };
  }

  close(): void {
    for (const pool of this.#pools.values()) pool.close();
  }

  #pool(server: ShardServer, { host, port }: { readonly host: string; readonly port: number }): ConnectionPool {
    const { user = 'postgres', password, tls = null, schema } = server;
    const database = server.database ?? user;
    const key = JSON.stringify([host, port, database, user, schema ?? null]);
    const known = this.#pools.get(key);
    if (known) return known;
    const label = `${host}:${port}/${database}${schema === undefined ? '' : ` (${schema})`}`;
    const secret = password === undefined ? ({ kind: 'none' } as const) : ({ kind: 'password', password } as const);
    const pool = new ConnectionPool(
      { label, host, port, database, user, secret, tls },
      this.#maxConnections,
      startupSettings(schema),
    );
    this.#pools.set(key, pool);
    return pool;
  }
}

/** What decoding and merging rely on. */
function startupSettings(schema: string | undefined): ReadonlyMap<string, string> {
  return new Map([
    ['application_name', 'pgherd sdk'],
    ['client_encoding', 'UTF8'],
    ['DateStyle', 'ISO'],
    ['IntervalStyle', 'postgres'],
    ...(schema === undefined ? [] : [['search_path', `"${schema.replaceAll('"', '""')}"`] as const]),
  ]);
}

/** `postgresql://user:password@host:5432/database?schema=s07&sslmode=require` */
export function parseShardUrl(text: string): ShardServer {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw pgError('invalidParameterValue', `"${text.replace(/\/\/[^@]*@/, '//…@')}" is no connection URL`, {
      hint: 'It looks like postgresql://user:password@host:5432/database.',
    });
  }
  const given = (name: string, value: string | null) => (value === null || value === '' ? {} : { [name]: value });
  const mode = url.searchParams.get('sslmode') ?? 'disable';
  if (mode !== 'disable' && mode !== 'require') {
    throw pgError('invalidParameterValue', `sslmode ${mode} is not for URLs: give the server as an object with tls.ca`);
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || '5432'),
    ...given('user', decodeURIComponent(url.username)),
    ...given('password', decodeURIComponent(url.password)),
    ...given('database', decodeURIComponent(url.pathname.slice(1))),
    ...given('schema', url.searchParams.get('schema')),
    ...(mode === 'require' ? { tls: { ca: null } } : {}),
  };
}

/** Runs work on a connection of the pool, which goes back, or is closed if it is in no state to. */
export async function withConnection<T>(
  pool: ConnectionPool,
  work: (connection: ServerConnection) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const connection = pool.tryAcquire() ?? (await pool.acquire(signal));
  try {
    return await work(connection);
  } finally {
    pool.release(connection);
  }
}
