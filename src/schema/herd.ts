import type { CatalogSnapshot, DistributedTable, NodeId } from '../catalog/snapshot.ts';
import type { SqlRunner } from '../core/runner.ts';

/** A NoticeResponse for the client. */
export interface Notice {
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** Where a node answers. */
export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * All that this room knows of servers: one distributed transaction, which the caller commits or rolls back. Every runner is
 * in that transaction, has the session's search_path and acts as the session's role; its `owner` (see ownerOf() and
 * byOwner() in owner.ts) may do what the owner of schema `pgherd` may.
 */
export interface HerdTransaction {
  readonly coordinator: SqlRunner;
  /** Joins the node as a writing participant; also a node that was added to pgherd.node in this transaction. */
  node(id: NodeId): Promise<SqlRunner>;
  /** Lends a connection outside of this transaction, in none of its own: for what runs in no transaction block. */
  beside<T>(site: 'coordinator' | NodeId, work: (runner: SqlRunner) => Promise<T>): Promise<T>;
  /** Forgets what the router has measured. Superusers only. */
  resetStatistics(): Promise<void>;
  /** Of every copy of every shard, as text. */
  shardSizes(): Promise<readonly { readonly shardId: string; readonly bytes: string }[]>;
  /** Raises 23503 if a row of the referencing table references nothing. The router keeps the key, of this OID. */
  checkForeignKey(oid: number): Promise<void>;
  /** Why calls of a function with a distribution argument, as this transaction has it, stay on the coordinator; null: they don't. */
  delegationObstacle(oid: number): Promise<string | null>;
  /** Read again inside this transaction. */
  snapshot(): Promise<CatalogSnapshot>;
  /** The catalog changed: its version is bumped and all routers refresh before the statement returns. */
  changed(): void;
  notice(fields: Notice): void;
  /** Streams the rows of `fromSql` from the coordinator into the shards of the table. Gives the number of rows, as the others do. */
  copyRows(fromSql: string, table: DistributedTable, columns: readonly string[]): Promise<number>;
  /** The reverse: all shards → a table of the coordinator, whose name is qualified and quoted. */
  gatherRows(table: DistributedTable, intoTable: string, columns: readonly string[]): Promise<number>;
  /** Coordinator → every active node, for reference tables; only one node when it is named (it is being added). */
  copyToAll(fromSql: string, table: DistributedTable, columns: readonly string[], only?: NodeId): Promise<number>;
  /** Where a node's name is: the map `addresses:` of the configuration, or the name itself. */
  resolveAddress(name: string, port: number): NodeAddress;
  /** For hash tables when neither their creator nor `citus.shard_count` names another: the configuration's. */
  readonly defaultShardCount: number;
  readonly signal: AbortSignal;
}
