import { readFileSync } from 'node:fs';
import { type ConnectionPool, PoolSet, type ServerEndpoint } from '../backend/pool.ts';
import { ServerConnection, type ServerSecret, type ServerTls } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import type { CatalogSnapshot, NodeId } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { RouterOptions } from './serve.ts';

const controlSettings: ReadonlyMap<string, string> = new Map([
  ['client_encoding', 'UTF8'],
  ['application_name', 'router'],
]);

/** The router's own connections, as its own role: to the catalog, and to the nodes for recovery and live figures. */
export class ControlPlane {
  readonly #options: RouterOptions;
  readonly #pools = new PoolSet(8, () => controlSettings);
  /** Runs each text on a connection of its own, outside any transaction. */
  readonly coordinator: SqlRunner;
  readonly coordinatorPool: ConnectionPool;
  readonly #tls: ServerTls | null;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#tls = serverTls(options);
    this.coordinatorPool = this.#pool(this.coordinatorEndpoint);
    this.coordinator = pooled(this.coordinatorPool);
  }

  get coordinatorEndpoint(): ServerEndpoint {
    const { host, port, database } = this.#options.coordinator;
    return { label: 'coordinator', host, port, database, tls: this.#tls };
  }

  /** A connection that is the caller's until it closes it. */
  dedicated(): Promise<ServerConnection> {
    const { user } = this.#options.coordinator;
    return ServerConnection.open({ ...this.coordinatorEndpoint, user, secret: this.#secret() }, controlSettings);
  }

  endpoint(site: Site, snapshot: CatalogSnapshot): ServerEndpoint {
    if (site === 'coordinator') return this.coordinatorEndpoint;
    const node = snapshot.nodes.find((candidate) => candidate.id === site);
    if (node === undefined) throw pgError('connectionFailure', `node ${site} is not in the catalog`);
    const { database } = this.#options.coordinator;
    return { label: node.name, host: node.host, port: node.port, database, tls: this.#tls };
  }

  /** As sessions reach it. The coordinator tells them addresses (`inet_client_addr()`), which a unix socket has not. */
  sessionEndpoint(site: Site, snapshot: CatalogSnapshot): ServerEndpoint {
    const endpoint = this.endpoint(site, snapshot);
    const { socketDir, nodes } = this.#options;
    if (socketDir === undefined || site === 'coordinator') return endpoint;
    const isNear = nodes.some(({ host, port }) => host === endpoint.host && port === endpoint.port);
    return isNear ? { ...endpoint, host: socketDir, tls: null } : endpoint;
  }

  node(id: NodeId, snapshot: CatalogSnapshot): SqlRunner {
    return pooled(this.#pool(this.endpoint(id, snapshot)));
  }

  /** Lends one connection to a node: for what needs the same one twice. */
  async onNode<T>(id: NodeId, snapshot: CatalogSnapshot, work: (connection: SqlRunner) => Promise<T>): Promise<T> {
    const pool = this.#pool(this.endpoint(id, snapshot));
    const connection = await pool.acquire();
    try {
      return await work(connection);
    } finally {
      pool.release(connection);
    }
  }

  at(label: string, host: string, port: number): SqlRunner {
    const { database } = this.#options.coordinator;
    return pooled(this.#pool({ label, host, port, database, tls: this.#tls }));
  }

  resolveAddress(name: string, port: number): { host: string; port: number } {
    const { addresses, nodes, coordinator } = this.#options;
    const known = addresses[`${name}:${port}`] ?? addresses[name] ?? nodes.find((node) => node.name === name);
    if (known) return { host: known.host, port: known.port };
    if (name === 'coordinator') return { host: coordinator.host, port: coordinator.port };
    return { host: name, port };
  }

  close(): void {
    this.#pools.close();
  }

  #pool(endpoint: ServerEndpoint): ConnectionPool {
    return this.#pools.pool(endpoint, this.#options.coordinator.user, this.#secret());
  }

  #secret(): ServerSecret {
    const { password } = this.#options.coordinator;
    return password === undefined ? { kind: 'none' } : { kind: 'password', password };
  }
}

function serverTls({ serverTls: wanted }: RouterOptions): ServerTls | null {
  if (wanted === undefined) return null;
  return { ca: wanted.ca === undefined ? null : readFileSync(wanted.ca, 'utf8') };
}

function pooled(pool: ConnectionPool): SqlRunner {
  return {
    async query(sql, parameters) {
      const connection = await pool.acquire();
      try {
        return await connection.query(sql, parameters);
      } finally {
        pool.release(connection);
      }
    },
  };
}
