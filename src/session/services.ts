import type { ConnectionPool } from '../backend/pool.ts';
import type { ServerConnection, ServerSecret } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import type { CatalogSnapshot, DistributedTable, NodeId } from '../catalog/snapshot.ts';
import type { TriggerFiring } from '../catalog/statement-trigger.ts';
import type { Log } from '../core/log.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { RawStatement } from '../sql/parse.ts';
import type { CommitHost } from '../transaction/commit.ts';
import type { ScramVerifier } from '../wire/scram.ts';
import type { CancelRegistry } from './cancel-registry.ts';
import type { DescriptionCache } from './describe.ts';
import type { RouteBook } from './hot/route-book.ts';
import type { RouterMeters } from './meters.ts';
import type { Peers } from './peers.ts';
import type { AnswerCache } from './plan-answers.ts';
import type { PlanCache } from './plan-cache.ts';
import type { SessionState } from './session-state.ts';
import type { ExportedSnapshots } from './snapshot-commands.ts';
import type { StatementCache } from './statement-cache.ts';
import type { StatementTimes } from './statement-times.ts';

/** Who a session is, towards the servers. */
export interface Identity {
  readonly user: string;
  readonly secret: ServerSecret;
}

/** What all sessions of a router share; put together in `cli/serve.ts`. */
export interface RouterServices extends CommitHost {
  readonly log: Log;
  readonly statements: Pick<StatementCache, 'parse'>;
  readonly descriptions: DescriptionCache;
  readonly plans: PlanCache;
  readonly routes: RouteBook;
  readonly answers: AnswerCache;
  readonly cancels: CancelRegistry;
  readonly snapshots: ExportedSnapshots;
  readonly sessions: Set<SessionState>;
  readonly database: string;
  readonly authentication: 'trust' | 'scram';
  catalog(): CatalogSnapshot;
  /** Reads the catalog again, here and (by notification) in the other routers; resolves when this one has it. */
  refreshCatalog(): Promise<CatalogSnapshot>;
  /** Reads the catalog as one transaction sees it, with its own uncommitted changes. */
  loadCatalog(runner: SqlRunner): Promise<CatalogSnapshot>;
  /** `catalog`: where the site is looked up, when it is not yet in the router's own. */
  pool(site: Site, identity: Identity, catalog?: CatalogSnapshot): ConnectionPool;
  readonly defaultShardCount: number;
  /** Names this moment of this router. */
  causalityToken(): string;
  /** A client has proved who it is: from now on the role's connections are opened with what it proved. */
  loggedIn(identity: Identity): void;
  control(): SqlRunner;
  /** What a connection of an ordinary role becomes for the schema room: its `owner` has the rights of the router's own role. */
  withOwner(connection: ServerConnection, site: Site): SqlRunner;
  /** The stored verifier of a role, or one that no password fits. */
  scramVerifier(user: string): Promise<ScramVerifier>;
  resolveAddress(name: string, port: number): { readonly host: string; readonly port: number };
  /**
   * Rows, as text, of live relations that the router itself can tell: what all its workers have in memory, and `pgherd.live_shard_size`. `warn` is
   * told of rows that are missing. `role`: whose statements alone; null: everybody's.
   */
  routerRows(
    relation: string,
    warn: (message: string) => void,
    role?: string | null,
  ): Promise<readonly (readonly (string | null)[])[]>;
  readonly peers: Peers;
  readonly times: StatementTimes;
  readonly meters: RouterMeters;
  /** What citus.enable_repartition_joins is where nobody has set it. */
  readonly repartitionJoins: boolean;
  readonly logStatement: LogStatement;
  readonly schema: SchemaServices;
  /** The way back for functions on the coordinator; null where postgres_fdw can't be had. */
  readonly loop: LoopServices | null;
}

export interface LoopServices {
  readonly verifier: ScramVerifier;
  /** The coordinator as a session's role, beside the connections of sessions. */
  pool(identity: Identity): ConnectionPool;
}

export type LogStatement = 'none' | 'ddl' | 'mod' | 'all';

/** A notice from the router itself. */
export interface NoticeFields {
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/**
 * What a schema change may do: the servers in the session's own transaction, and the moving of rows. The schema room is handed
 * this, so that it need not know sessions.
 */
export interface SchemaTransaction {
  readonly coordinator: SqlRunner;
  node(id: NodeId): Promise<SqlRunner>;
  resetStatistics(): Promise<void>;
  /** Lends a connection outside of the transaction. */
  beside<T>(site: Site, work: (runner: SqlRunner) => Promise<T>): Promise<T>;
  shardSizes(): Promise<readonly { readonly shardId: string; readonly bytes: string }[]>;
  checkForeignKey(oid: number): Promise<void>;
  delegationObstacle(oid: number): Promise<string | null>;
  snapshot(): Promise<CatalogSnapshot>;
  changed(): void;
  notice(fields: NoticeFields): void;
  copyRows(fromSql: string, table: DistributedTable, columns: readonly string[]): Promise<number>;
  gatherRows(table: DistributedTable, intoTable: string, columns: readonly string[]): Promise<number>;
  copyToAll(fromSql: string, table: DistributedTable, columns: readonly string[], only?: NodeId): Promise<number>;
  resolveAddress(name: string, port: number): { readonly host: string; readonly port: number };
  readonly defaultShardCount: number;
  readonly signal: AbortSignal;
}

export interface AdminRows {
  readonly columns: readonly { readonly name: string; readonly typeOid: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
}

export interface SchemaAction {
  /** `local`: the coordinator alone, as it stands. The other kinds are the schema room's own. */
  readonly kind: string;
  /** A local statement that makes, changes or drops a relation or a function. */
  readonly changesCatalog: boolean;
  /** PostgreSQL refuses it in a transaction block (VACUUM). */
  readonly outsideTransaction: boolean;
  /** PostgreSQL refuses it outside of a transaction block (LOCK TABLE). */
  readonly needsBlock?: true;
  /** What it is called when it comes in one, if no server would say so. */
  readonly refusedInBlock?: string;
}

/** What the schema room does for sessions; put together in `cli/schema-services.ts`. */
export interface SchemaServices {
  isAdminCall(statement: RawStatement): boolean;
  /** One row with all arguments of the calls as text, to be evaluated on the coordinator; null: none has any. */
  adminArguments(statement: RawStatement): string | null;
  runAdmin(
    statement: RawStatement,
    evaluated: readonly (string | null)[],
    transaction: SchemaTransaction,
  ): Promise<AdminRows>;
  /** Tables that have come into a distributed schema, or left one, go to where they belong. */
  settleSchemas(transaction: SchemaTransaction): Promise<void>;
  distributeSchema(transaction: SchemaTransaction, name: string): Promise<void>;
  classify(
    statement: RawStatement,
    snapshot: CatalogSnapshot,
    searchPath: readonly string[],
    temporaryNames: ReadonlySet<string>,
  ): SchemaAction;
  /** Statement triggers of a distributed table; `run` sends a statement with one parameter. */
  fireTriggers(
    coordinator: SqlRunner,
    what: { readonly firing: TriggerFiring; readonly when: 'before' | 'after' },
    run: (sql: string, nonce: string) => Promise<void>,
  ): Promise<void>;
  /** Gives the command tag. */
  runAction(action: SchemaAction, statement: RawStatement, transaction: SchemaTransaction): Promise<string>;
}
