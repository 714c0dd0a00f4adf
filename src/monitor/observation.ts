/** What was seen of the cluster at one moment, and what could not be seen. Frozen values; sizes in bytes, times in milliseconds. */
export interface Observation {
  readonly atMs: number;
  readonly cluster: { readonly kind: 'reached' } | { readonly kind: 'unreachable'; readonly why: string };
  readonly nodes: Seen<readonly NodeState[]>;
  readonly servers: Seen<readonly ServerState[]>;
  readonly shards: Seen<readonly NodeShards[]>;
  readonly groups: Seen<readonly GroupShards[]>;
  readonly statements: Seen<StatementTotals>;
  readonly slowQueries: Seen<readonly SlowQuery[]>;
  readonly pools: Seen<readonly PoolState[]>;
  readonly disks: Seen<readonly DiskState[]>;
}

export type Seen<T> = { readonly kind: 'seen'; readonly value: T } | { readonly kind: 'unseen'; readonly why: string };

/** The parts of an observation that may be unseen. */
export type Part = 'nodes' | 'servers' | 'shards' | 'groups' | 'statements' | 'slowQueries' | 'pools' | 'disks';

export const parts: readonly Part[] = ['nodes', 'servers', 'shards', 'statements', 'slowQueries', 'pools', 'disks'];

export function seen<T>(value: T): Seen<T> {
  return { kind: 'seen', value };
}

export function seenIn<T>(part: Seen<T>): T | null {
  return part.kind === 'seen' ? part.value : null;
}

/** A node as the catalog has it. */
export interface NodeState {
  readonly id: number;
  readonly name: string;
  readonly port: number;
  readonly role: string;
  /** The catalog lets it be used. */
  readonly active: boolean;
  /** null: nobody has asked it. */
  readonly reachable: boolean | null;
}

export interface ServerState {
  /** 0: the coordinator. */
  readonly id: number;
  readonly name: string;
  readonly port: number;
  /** How long it took to tell its facts; null: nobody has measured it. */
  readonly answerMs: number | null;
  readonly answer:
    | { readonly kind: 'facts'; readonly facts: ServerFacts }
    | { readonly kind: 'none'; readonly why: string };
}

/** catalog/server-facts.ts, with names as TypeScript writes them. */
export interface ServerFacts {
  readonly version: string;
  readonly upMs: number;
  readonly inRecovery: boolean;
  readonly connections: number;
  readonly maxConnections: number;
  readonly active: number;
  /** Since the server's statistics began. */
  readonly transactions: number;
  readonly databaseBytes: number;
  readonly dataDirectory: string | null;
  readonly xidAge: number;
  readonly standbys: readonly Standby[];
  readonly prepared: readonly { readonly gid: string; readonly owner: string; readonly ageMs: number }[];
  readonly longTransactions: readonly LongTransaction[];
  readonly lockWaits: readonly LockWait[];
  readonly staleTables: readonly { readonly table: string; readonly changed: number; readonly live: number }[];
}

export interface Standby {
  readonly name: string;
  readonly client: string | null;
  readonly state: string;
  readonly sync: string;
  readonly sentBytes: number | null;
  readonly writeBytes: number | null;
  readonly flushBytes: number | null;
  readonly replayBytes: number | null;
  /** null: nothing has been written lately, so nothing was measured. */
  readonly writeMs: number | null;
  readonly flushMs: number | null;
  readonly replayMs: number | null;
}

export interface LongTransaction {
  readonly pid: number;
  readonly ageMs: number;
  readonly state: string;
  readonly user: string;
  readonly application: string;
  readonly query: string;
}

export interface LockWait {
  readonly pid: number;
  readonly ageMs: number;
  readonly query: string;
  readonly blocking: readonly number[];
  readonly blockingQuery: string | null;
}

export interface NodeShards {
  readonly node: string;
  readonly count: number;
  readonly bytes: number;
}

/** Of one co-location group on one node. */
export interface GroupShards extends NodeShards {
  readonly group: string;
}

export interface StatementTotals {
  readonly statements: number;
  readonly calls: number;
  readonly averageTotalMs: number;
  readonly maxTotalMs: number;
  /** Of single calls, as each server measures them; empty: the cluster doesn't say which server. */
  readonly byNode: readonly { readonly node: string; readonly calls: number; readonly meanMs: number }[];
}

export interface SlowQuery {
  /** Who measured it: a server, or `router` for whole statements; null: the cluster doesn't say. */
  readonly where: string | null;
  readonly query: string;
  readonly calls: number;
  readonly totalMs: number;
  readonly meanMs: number;
  /** null: not counted. */
  readonly rows: number | null;
}

export interface PoolState {
  readonly server: string;
  readonly role: string;
  readonly open: number;
  readonly busy: number;
  readonly waiting: number;
  readonly maxConnections: number;
}

export interface DiskState {
  readonly server: string;
  readonly freeBytes: number;
  readonly totalBytes: number;
}
