import type { ConnectionPool } from '../backend/pool.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import type { SharedConnection } from '../backend/shared-connection.ts';
import type { Site } from '../catalog/site.ts';
import type { CatalogSnapshot, RelationEntry } from '../catalog/snapshot.ts';
import { PgError, pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { conditions } from '../core/sqlstate.ts';
import { KeyKeeper } from '../execute/keys/key-keeper.ts';
import {
  DistributedTransaction,
  type JoinPurpose,
  type TransactionHost,
} from '../transaction/distributed-transaction.ts';
import { applySettings, noSettings, type SettingsSnapshot, settingsOf } from '../transaction/settings.ts';
import { encodeNoticeResponse, encodeNotificationResponse, encodeParameterStatus } from '../wire/backend.ts';
import { shownApplicationName } from './application-name.ts';
import type { ClientConnection } from './client-connection.ts';
import type { StatementDescription } from './describe.ts';
import { LocalTimeouts } from './local-timeouts.ts';
import type { LoopSession } from './loop-session.ts';
import { SequenceMemory } from './sequence-memory.ts';
import type { Identity, NoticeFields, RouterServices } from './services.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** How long a server gets to react to a cancel request. */
const cancelAgainMs = 200;

/** A statement prepared by name, by Parse or PREPARE. */
export interface PreparedStatement {
  readonly name: string;
  /** Null: the empty statement. */
  readonly statement: ParsedStatement | null;
  readonly parameterOids: readonly number[];
  readonly fields: StatementDescription['fields'];
  /** Of the catalog under which `fields` are known to hold. */
  readonly describedIn: number;
  /** As the client sent it: of PREPARE the whole command. */
  readonly text: string;
  readonly preparedAtMs: number;
  /** By PREPARE, not by Parse. */
  readonly fromSql: boolean;
}

/** The statement at work is in line with others', on a connection that is no one session's. */
export interface Ride {
  /** The server's process, while it works on this statement. */
  readonly backend: { readonly site: Site; readonly processId: number } | null;
  /** The statement ends soon, and nobody else's does. */
  cancel(): void;
}

interface KnownSearchPath {
  /** All that it depends on. */
  readonly key: string;
  readonly path: readonly string[];
  /** As they were when it was last looked at: as long as both are the same, so is the key. */
  readonly settings: SettingsSnapshot;
  readonly catalog: CatalogSnapshot;
}

const noPools = { catalog: null, bySite: new Map<Site, ConnectionPool>() };

/**
 * What one client's session remembers between statements, and the only place that does: its transaction, settings, prepared
 * statements, and which state ties it to one coordinator connection.
 */
export class SessionState {
  readonly client: ClientConnection;
  readonly services: RouterServices;
  readonly identity: Identity;
  readonly transaction: DistributedTransaction;
  readonly prepared = new Map<string, PreparedStatement>();
  /** Settings of the startup packet: what RESET returns to. */
  startupSettings: SettingsSnapshot = noSettings;
  /** The coordinator connection carries state of this session: it stays until DISCARD ALL or the end. */
  pinned = false;
  /** The session has made temporary objects: their names are read again whenever they may have changed, and its connection stays. */
  hasTemporary = false;
  /** Triggers have left there what no other session may find: connections are closed instead of given back. */
  leavesStateOnNodes = false;
  /** Names of temporary relations, which shadow all others. */
  temporaryNames = new Set<string>();
  temporaryViews: ReadonlyMap<string, RelationEntry> = new Map();
  /** The catalog as the open transaction sees it, once it has changed it. */
  transactionCatalog: CatalogSnapshot | null = null;
  /** SET LOCAL of what the router counts itself. */
  readonly localTimeouts = new LocalTimeouts();
  /** The open transaction changed the schema: all routers must hear of it after the commit. */
  schemaChanged = false;
  readonly sequences = new SequenceMemory();
  readonly #keys = new KeyKeeper();
  /** What runs is a procedure that ends transactions: no block of the router's may be around it. */
  committingProcedure = false;
  /** OIDs of distributed tables that functions of the statement at work have changed. */
  readonly changedByFunctions = new Set<number>();
  /** A TRUNCATE is at work, which keeps everybody else from these tables (by OID): functions too, which come back by another connection. */
  readonly truncating = new Set<number>();
  /** The session is no client's: a function's statements come back by it. */
  loop: LoopSession | null = null;
  /** What the statement at work has asked for by pg_cancel_backend() and its kin; sent when it is done. */
  readonly signals: string[] = [];
  /** Columns of the transaction's cursors that read motions' rows: on the coordinator those come from no table. */
  readonly cursorFields = new Map<string, StatementDescription['fields']>();
  /** Names of types that are not built in, by OID. */
  readonly typeNames = new Map<number, string>();
  /** Cancels what is running now. */
  #statement = new AbortController();
  #cancelReason: PgError | null = null;
  /** When the statement at work began; null between statements. Milliseconds. */
  runningSinceMs: number | null = null;
  ride: Ride | null = null;
  /** What the client was last told of each reported parameter. */
  #reported = new Map<string, string>();
  #searchPath: KnownSearchPath | null = null;
  #pools: { readonly catalog: CatalogSnapshot | null; readonly bySite: Map<Site, ConnectionPool> } = noPools;

  /** `open` makes another kind of transaction than a client's. */
  constructor(
    client: ClientConnection,
    services: RouterServices,
    identity: Identity,
    open = (host: TransactionHost) => new DistributedTransaction(host, noSettings),
  ) {
    this.client = client;
    this.services = services;
    this.identity = identity;
    this.transaction = open(this.transactionHost());
  }

  /** What a function does to keys is its caller's to keep: checks may wait until that one's transaction ends. */
  get keys(): KeyKeeper {
    return this.loop?.keys ?? this.#keys;
  }

  get signal(): AbortSignal {
    return this.#statement.signal;
  }

  get catalog(): CatalogSnapshot {
    return this.transactionCatalog ?? this.services.catalog();
  }

  /** A statement starts: cancel requests that came before it are forgotten. */
  startStatement(): void {
    this.runningSinceMs = this.services.clock.nowMs();
    if (!this.#statement.signal.aborted) return;
    this.#statement = new AbortController();
    this.#cancelReason = null;
  }

  /** The router ends the statement for a reason of its own, which the client hears instead of 57014. */
  cancelBecause(reason: PgError): void {
    this.#cancelReason = reason;
    this.cancel();
  }

  /** What the client is to be told of an error: the router's reason when it caused it. */
  explain(error: unknown): unknown {
    const cancelled = error instanceof PgError && error.code === conditions.queryCanceled;
    return cancelled && this.#cancelReason !== null ? this.#cancelReason : error;
  }

  /** A cancel request came: whatever waits stops waiting, and every server involved is asked to stop. */
  cancel(): void {
    const statement = this.#statement;
    if (statement.signal.aborted) return;
    statement.abort();
    this.#cancelServers(statement);
  }

  /** A server that is just between two commands ignores a cancel request, so they are repeated until the statement has ended. */
  #cancelServers(statement: AbortController): void {
    for (const connection of this.transaction.connections) {
      if (!connection.idle) void connection.cancel().catch(() => {});
    }
    this.ride?.cancel();
    this.services.clock.after(cancelAgainMs, () => {
      if (this.#statement === statement && this.runningSinceMs !== null) this.#cancelServers(statement);
    });
  }

  /** In REPEATABLE READ and above the transaction's first statement took them all. */
  get takesGlobalSnapshots(): boolean {
    const { transaction } = this;
    return transaction.settings.values.get('pgherd.snapshot') !== 'local' && transaction.isolation === 'read committed';
  }

  coordinator(purpose: JoinPurpose = 'catalog'): Promise<ServerConnection> {
    return this.transaction.join('coordinator', this.signal, purpose);
  }

  /** A server with this session's role and settings, on a connection beside its transaction. */
  aside(site: Site = 'coordinator'): SqlRunner {
    return { query: (sql, parameters) => this.beside((connection) => connection.query(sql, parameters), site) };
  }

  /** Lends a connection, with this session's role and settings, that is not its transaction's. */
  async beside<T>(work: (connection: ServerConnection) => Promise<T>, site: Site = 'coordinator'): Promise<T> {
    const pool = this.services.pool(site, this.identity, this.catalog);
    const connection = await pool.acquire(this.signal);
    try {
      await applySettings(connection, this.transaction.settings);
      return await work(connection);
    } finally {
      pool.release(connection);
    }
  }

  notice(fields: NoticeFields): void {
    this.client.write(encodeNoticeResponse(fields));
  }

  setStartupSettings(values: ReadonlyMap<string, string>): void {
    this.startupSettings = settingsOf(values);
    this.transaction.settings = this.startupSettings;
  }

  /** Names and settings are what they are to other sessions with the same, and statements have no ends of their own. */
  get isOrdinary(): boolean {
    if (this.loop !== null || this.transactionCatalog !== null || this.hasTemporary || this.schemaChanged) return false;
    return this.localTimeouts.isEmpty && this.cursorFields.size === 0 && !this.committingProcedure;
  }

  /** One that sessions of this role and with these settings share; null: there is none at the moment. */
  sharedConnection(site: Site): SharedConnection | null {
    return this.#poolOf(site).shared?.get(this.transaction.settings.key) ?? null;
  }

  /** The servers' processes that work for this session. */
  get backends(): readonly { readonly site: Site; readonly processId: number }[] {
    const riding = this.ride?.backend ?? null;
    return riding === null ? this.transaction.backends : [...this.transaction.backends, riding];
  }

  /** Looked up once for each catalog. */
  #poolOf(site: Site): ConnectionPool {
    const { catalog } = this;
    if (this.#pools.catalog !== catalog) this.#pools = { catalog, bySite: new Map() };
    let pool = this.#pools.bySite.get(site);
    if (pool === undefined) {
      pool = this.services.pool(site, this.identity, catalog);
      this.#pools.bySite.set(site, pool);
    }
    return pool;
  }

  /** The search path as it was last asked for; null: it has to be asked for. */
  get knownSearchPath(): readonly string[] | null {
    const known = this.#searchPath;
    if (known === null || known.settings !== this.transaction.settings || known.catalog !== this.catalog) return null;
    return this.transaction.hasLocalSettings ? null : known.path;
  }

  /** The effective search path, as `current_schemas(true)` gives it; asked again when what it depends on has changed. */
  async searchPath(): Promise<readonly string[]> {
    const known = this.knownSearchPath;
    if (known !== null) return known;
    const { settings } = this.transaction;
    const { catalog } = this;
    const key = `${this.catalog.version}|${settings.values.get('search_path') ?? ''}|${settings.values.get('role') ?? ''}|${settings.values.get('session_authorization') ?? ''}|${this.transactionCatalog === null}`;
    if (this.#searchPath?.key === key && !this.transaction.hasLocalSettings) {
      this.#searchPath = { ...this.#searchPath, settings, catalog };
      return this.#searchPath.path;
    }
    const connection = await this.coordinator();
    const result = await connection.query(
      "SELECT s FROM unnest(current_schemas(true)) WITH ORDINALITY AS x(s, n) WHERE s NOT LIKE 'pg_temp%' ORDER BY n",
    );
    const path = result.rows.map((row) => row[0]!);
    if (!this.transaction.hasLocalSettings) this.#searchPath = { key, path, settings, catalog };
    return path;
  }

  /** Tells the client of reported parameters that are not what it was last told. */
  reportParameters(connection: ServerConnection): void {
    for (const [name, found] of connection.parameters) {
      const value = name === 'application_name' ? shownApplicationName(this.transaction.settings, found) : found;
      if (this.#reported.get(name) === value) continue;
      this.#reported.set(name, value);
      this.client.write(encodeParameterStatus(name, value));
    }
  }

  /** A statement changed the schema. Inside a transaction block the session sees a catalog of its own from now on. */
  async schemaWasChanged(): Promise<void> {
    if (!this.transaction.inBlock) {
      await this.services.refreshCatalog();
      return;
    }
    this.schemaChanged = true;
    await this.reloadTransactionCatalog();
  }

  async reloadTransactionCatalog(): Promise<void> {
    this.transactionCatalog = await this.services.loadCatalog(await this.coordinator());
  }

  /** What the session's transaction needs from the rest of the router. */
  transactionHost(): TransactionHost {
    const { services } = this;
    return {
      clock: services.clock,
      log: services.log,
      fence: services.fence,
      protocolLog: services.protocolLog,
      nextTransactionName: () => services.nextTransactionName(),
      control: () => services.control(),
      decideApart: (name, nodes, decided) => services.decideApart(name, nodes, decided),
      decisionProof: (name) => services.decisionProof(name),
      onNode: (node, work) => services.onNode(node, work),
      served: (keys) => services.served(keys),
      told: (key, nodes) => services.told(key, nodes),
      ended: (name, outcome) => services.ended(name, outcome),
      sites: () => ['coordinator', ...services.catalog().nodes.map((node) => node.id)],
      acquire: (site: Site, signal) => {
        const pool = this.#poolOf(site);
        const lent = (connection: ServerConnection) => {
          connection.lender = pool;
          return connection;
        };
        const free = pool.tryAcquire(this.transaction.settings.key);
        return free ? Promise.resolve(lent(free)) : pool.acquire(signal).then(lent);
      },
      acquireNow: (site, settingsKey) => {
        const pool = this.#poolOf(site);
        const free = pool.tryAcquire(settingsKey);
        if (free !== null) free.lender = pool;
        return free;
      },
      release: (site, connection) => {
        connection.onNotification = null;
        connection.onKeyReport = null;
        connection.onSignalReport = null;
        if (site !== 'coordinator' && this.leavesStateOnNodes) connection.tainted = true;
        if (site !== 'coordinator' || !this.sequences.touched) connection.lender?.release(connection);
        else void this.sequences.save(connection).then(() => connection.lender?.release(connection));
      },
      coordinatorPinned: () => this.pinned || this.hasTemporary,
      attached: (site, connection) => {
        if (site !== 'coordinator') return;
        connection.onNotification = (processId, channel, payload) =>
          this.client.write(encodeNotificationResponse(processId, channel, payload));
        connection.onSignalReport = (report) => this.signals.push(report);
      },
    };
  }
}

/** In a failed transaction nothing but its end is accepted. */
export function refuseInFailedTransaction(): never {
  throw pgError(
    'inFailedSqlTransaction',
    'current transaction is aborted, commands ignored until end of transaction block',
  );
}
