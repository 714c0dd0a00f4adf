import { pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import {
  ServerConnection,
  type ServerSecret,
  type ServerTarget,
  type ServerTls,
  type Traffic,
} from './server-connection.ts';
import { SharedConnections } from './shared-connections.ts';

/** Where the servers of the herd are; the role and its secret come with the client. */
export interface ServerEndpoint {
  readonly label: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly tls: ServerTls | null;
}

interface Waiter {
  take(connection: ServerConnection): void;
  fail(error: Error): void;
}

/** A bounded set of connections to one server as one role. */
export class ConnectionPool {
  #target: ServerTarget;
  readonly #maxConnections: number;
  readonly #startupSettings: ReadonlyMap<string, string>;
  /** Free connections, the one used last at the end. */
  #idle: ServerConnection[] = [];
  #all = new Set<ServerConnection>();
  /** Of connections that are closed. */
  #past: Traffic = { sent: 0, received: 0 };
  #opening = 0;
  #waiters: Waiter[] = [];
  #closed = false;
  /** For what only reads; null: nothing is shared. */
  readonly shared: SharedConnections | null;

  constructor(
    target: ServerTarget,
    maxConnections: number,
    startupSettings: ReadonlyMap<string, string>,
    sharesReads = false,
  ) {
    this.shared = sharesReads ? new SharedConnections(this) : null;
    this.#target = target;
    this.#maxConnections = maxConnections;
    this.#startupSettings = startupSettings;
  }

  get target(): ServerTarget {
    return this.#target;
  }

  /** New connections log in with it; those that are open stay, as sessions outlive a change of password in PostgreSQL. */
  renewSecret(secret: ServerSecret): void {
    this.#target = { ...this.#target, secret };
  }

  get traffic(): Traffic {
    return [...this.#all].reduce((sum, { traffic }) => addTraffic(sum, traffic), this.#past);
  }

  get size(): number {
    return this.#all.size;
  }

  /** Connections that somebody has taken. */
  get busy(): number {
    return this.#all.size - this.#idle.length;
  }

  get maxConnections(): number {
    return this.#maxConnections;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** `acquire` gives a connection without waiting for others to release theirs. */
  get hasRoom(): boolean {
    return this.#idle.some(({ closed }) => !closed) || this.#all.size + this.#opening < this.#maxConnections;
  }

  /** A free connection at once, or null: if there is one, one that has these settings already. The hot path's way in. */
  tryAcquire(settingsKey = ''): ServerConnection | null {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const connection = this.#idle[i]!;
      if (connection.appliedSettings !== settingsKey || connection.closed) continue;
      if (i === this.#idle.length - 1) this.#idle.pop();
      else this.#idle.splice(i, 1);
      return connection;
    }
    return this.#takeAny();
  }

  #takeAny(): ServerConnection | null {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) return null;
      if (!connection.closed) return connection;
    }
  }

  async acquire(signal?: AbortSignal): Promise<ServerConnection> {
    const free = this.#takeAny();
    if (free) return free;
    if (this.#closed) throw pgError('cannotConnectNow', 'the router is shutting down', { severity: 'FATAL' });
    if (this.#all.size + this.#opening < this.#maxConnections) return this.#open(signal);
    return this.#wait(signal);
  }

  /** Gives a connection back. It must be outside any transaction and exchange; otherwise it is closed. */
  release(connection: ServerConnection): void {
    if (connection.closed) return;
    if (connection.cancelling !== null) {
      const again = () => this.release(connection);
      connection.cancelling.then(again, again);
      return;
    }
    if (this.#closed || connection.tainted || !connection.idle || connection.transactionStatus !== 'I') {
      connection.close();
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter) waiter.take(connection);
    else this.#idle.push(connection);
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#all) connection.close();
    for (const waiter of this.#waiters.splice(0)) {
      waiter.fail(pgError('cannotConnectNow', 'the router is shutting down', { severity: 'FATAL' }));
    }
  }

  async #open(signal?: AbortSignal): Promise<ServerConnection> {
    this.#opening += 1;
    try {
      const connection = await ServerConnection.open(this.target, this.#startupSettings, signal);
      this.#all.add(connection);
      connection.onClosed = () => this.#forget(connection);
      return connection;
    } catch (error) {
      this.#admitNext();
      throw error;
    } finally {
      this.#opening -= 1;
    }
  }

  #forget(connection: ServerConnection): void {
    this.#all.delete(connection);
    this.#past = addTraffic(this.#past, connection.traffic);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#admitNext();
  }

  /** A place became free: open a connection for whoever has waited longest. */
  #admitNext(): void {
    if (this.#closed) return;
    const waiter = this.#waiters.shift();
    if (waiter) this.#open().then(waiter.take, waiter.fail);
  }

  #wait(signal?: AbortSignal): Promise<ServerConnection> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        const at = this.#waiters.indexOf(waiter);
        if (at >= 0) this.#waiters.splice(at, 1);
      };
      const waiter: Waiter = {
        take(connection) {
          leave();
          resolve(connection);
        },
        fail(error) {
          leave();
          reject(error);
        },
      };
      const abort = () => waiter.fail(pgError('queryCanceled', 'canceling statement due to user request'));
      const timer = setTimeout(
        () =>
          waiter.fail(
            pgError('tooManyConnections', `no connection to ${this.target.label} became free in time`, {
              hint: `All ${this.#maxConnections} are in use; raise the pool's bound or shorten transactions.`,
            }),
          ),
        limits.poolWaitMs,
      );
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiters.push(waiter);
    });
  }
}

function addTraffic(a: Traffic, b: Traffic): Traffic {
  return { sent: a.sent + b.sent, received: a.received + b.received };
}

/** All pools of the router: by server and role. A server is named by its node id, or `coordinator`. */
export class PoolSet {
  readonly #maxConnectionsPerPool: number;
  readonly #startupSettings: (server: string) => ReadonlyMap<string, string>;
  readonly #sharesReads: boolean;
  #pools = new Map<string, ConnectionPool>();
  /** What each role proved last. A session that logged in before a change of password knows an old one. */
  #secrets = new Map<string, ServerSecret>();

  /** `startupSettings`: what connections to a server start with; a session's own settings are applied on top. */
  constructor(
    maxConnectionsPerPool: number,
    startupSettings: (server: string) => ReadonlyMap<string, string>,
    sharesReads = false,
  ) {
    this.#sharesReads = sharesReads;
    this.#maxConnectionsPerPool = maxConnectionsPerPool;
    this.#startupSettings = startupSettings;
  }

  /** A role has just logged in with this secret. */
  renewSecret(user: string, secret: ServerSecret): void {
    this.#secrets.set(user, secret);
    for (const pool of this.#pools.values()) if (pool.target.user === user) pool.renewSecret(secret);
  }

  /** `secret` serves as long as the role has not logged in with another one. */
  pool(endpoint: ServerEndpoint, user: string, secret: ServerSecret): ConnectionPool {
    const key = `${endpoint.host}\0${endpoint.port}\0${endpoint.database}\0${user}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = new ConnectionPool(
        { ...endpoint, user, secret: this.#secrets.get(user) ?? secret },
        this.#maxConnectionsPerPool,
        this.#startupSettings(endpoint.label),
        this.#sharesReads,
      );
      this.#pools.set(key, pool);
    }
    return pool;
  }

  [Symbol.iterator](): IterableIterator<ConnectionPool> {
    return this.#pools.values();
  }

  close(): void {
    for (const pool of this.#pools.values()) pool.close();
  }
}
