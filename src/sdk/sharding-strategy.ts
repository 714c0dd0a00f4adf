import { assert } from '../core/assert.ts';
import { decodeRow, type Row } from './decode-value.ts';
import { gatherRows, type Merge } from './distributed-query.ts';
import { type DistributedTransaction, runDistributed, shardAt } from './distributed-transaction.ts';
import { encodeParameter, type Parameter } from './encode-parameter.ts';
import type { SortKey } from './ordered-merge.ts';
import { md5Modulo, type Placement } from './placement.ts';
import { type RecoveryOptions, type RecoveryOutcome, recoverTransactions } from './recover.ts';
import { connect, type RunOptions, runOnShard, type Statement } from './run-statement.ts';
import { type ShardFailure, type ShardOutcome, ShardsFailedError } from './shard-failures.ts';
import type { ShardKey } from './shard-key.ts';
import { type IsolationLevel, queriesOn, type ShardTransaction } from './shard-part.ts';
import { type Shard, ShardPools, type ShardServer } from './shard-server.ts';
import { runTransaction } from './shard-transaction.ts';
import { streamRows } from './stream-rows.ts';
import type { CommitStep } from './two-phase-commit.ts';

export interface ShardingOptions {
  /** Shard k is the k-th: a server, or a URL `postgresql://user:password@host:port/database?schema=s07`. */
  readonly shards: readonly (ShardServer | string)[];
  /** md5-modulo unless said. */
  readonly placement?: Placement;
  /** Sets the prepared transactions of this sharding apart from others on the same servers. */
  readonly name?: string;
  /** To each server; 10 unless said. */
  readonly maxConnections?: number;
  /** Of each statement; 30,000 unless said. */
  readonly timeoutMs?: number;
  /** Of connecting, and of reads; 2 unless said. */
  readonly retries?: number;
  /** Told of each step of commits over several shards, and waited for. */
  readonly onStep?: (step: CommitStep) => void | Promise<void>;
}

export interface QueryOptions {
  /** `write` unless said: see RunOptions. */
  readonly access?: RunOptions['access'];
  readonly timeoutMs?: number;
  readonly retries?: number;
  readonly signal?: AbortSignal;
}

export interface DistributedQueryOptions extends QueryOptions {
  /** `concatenate` unless said. */
  readonly merge?: Merge;
  /** Of these shards only. */
  readonly shards?: readonly number[];
}

export interface TransactionOptions {
  readonly isolation?: IsolationLevel;
  /** Of each statement. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** On one shard: how often the work is run again after 40001 and 40P01; 0 unless said, since the work may do more than SQL. */
  readonly reruns?: number;
}

/** A connection on loan, outside any transaction. Give it back with `release`. */
export interface ShardConnection extends ShardTransaction {
  release(): void;
}

const namePattern = /^[A-Za-z0-9_-]{1,40}$/;

/**
 * Sharding in the client: any PostgreSQL servers, no router. Keys say on which shard a statement runs; statements over all shards are
 * merged here. Statements over several shards see each shard as it is then: there is no snapshot over them (a pgherd router has one).
 */
export class ShardingStrategy {
  readonly placement: Placement;
  readonly #options: ShardingOptions;
  readonly #name: string;
  readonly #pools: ShardPools;
  readonly #shards: readonly Shard[];
  readonly #preparedHomes = new Map<Shard, Promise<void>>();

  constructor(options: ShardingOptions) {
    const { shards, placement = md5Modulo(shards.length), name = 'default', maxConnections = 10 } = options;
    assert(
      placement.shardCount === shards.length,
      `the placement is for ${placement.shardCount} shards, not ${shards.length}`,
    );
    assert(namePattern.test(name), 'a name has 1 to 40 letters, digits, "_" and "-"');
    this.placement = placement;
    this.#options = options;
    this.#name = name;
    this.#pools = new ShardPools(maxConnections);
    this.#shards = shards.map((place, id) => this.#pools.shard(id, place));
  }

  get shardCount(): number {
    return this.#shards.length;
  }

  getShardId(key: ShardKey): number {
    return this.placement.shardOf(key);
  }

  async getConnection(key: ShardKey): Promise<ShardConnection> {
    const shard = this.#shardOf(key);
    const run = this.#run({});
    const connection = await connect(shard.primary, run);
    const release = () => shard.primary.release(connection);
    return { ...queriesOn(shard.id, connection, run), release };
  }

  /** Rows of the statement on the key's shard; none of one that returns none. */
  executeQuery<R extends object = Row>(
    key: ShardKey,
    sql: string,
    parameters: readonly Parameter[] = [],
    options: QueryOptions = {},
  ): Promise<R[]> {
    return this.#rowsOf<R>(this.#shardOf(key), statementOf(sql, parameters), options);
  }

  /** The same on a shard by its number. */
  executeOnShard<R extends object = Row>(
    shard: number,
    sql: string,
    parameters: readonly Parameter[] = [],
    options: QueryOptions = {},
  ): Promise<R[]> {
    return this.#rowsOf<R>(shardAt({ shards: this.#shards }, shard), statementOf(sql, parameters), options);
  }

  /** Rows of all shards, merged. If one fails, the others are cancelled, and ShardsFailedError tells which. */
  async executeDistributedQuery<R extends object = Row>(
    sql: string,
    parameters: readonly Parameter[] = [],
    options: DistributedQueryOptions = {},
  ): Promise<R[]> {
    const shards = this.#chosen(options);
    const { shape, rows, failures } = await gatherRows(shards, statementOf(sql, parameters), {
      ...{ merge: options.merge ?? concatenate, run: this.#run(options), stopAtFailure: true },
    });
    if (failures.length > 0) throw new ShardsFailedError(failures, shards.length);
    return rows.map((row) => decodeRow(shape, row) as R);
  }

  /** Rows of the shards that answer, and what became of each. */
  async settleDistributedQuery<R extends object = Row>(
    sql: string,
    parameters: readonly Parameter[] = [],
    options: DistributedQueryOptions = {},
  ): Promise<{ rows: R[]; outcomes: ShardOutcome[] }> {
    const shards = this.#chosen(options);
    const { shape, rows, failures, rowCounts } = await gatherRows(shards, statementOf(sql, parameters), {
      ...{ merge: options.merge ?? concatenate, run: this.#run(options), stopAtFailure: false },
    });
    const outcomes = shards.map(({ id }) => outcomeOf(id, failures, rowCounts.get(id) ?? 0));
    return { rows: rows.map((row) => decodeRow(shape, row) as R), outcomes };
  }

  /** Rows of all shards one by one, in bounded memory; with `orderedBy`, merged in the order that the statement's ORDER BY gives. */
  async *streamDistributedQuery<R extends object = Row>(
    sql: string,
    parameters: readonly Parameter[] = [],
    options: {
      readonly orderedBy?: readonly SortKey[];
      readonly batchRows?: number;
      readonly shards?: readonly number[];
      readonly signal?: AbortSignal;
    } = {},
  ): AsyncGenerator<R> {
    const { batchRows = 1_000, orderedBy, signal } = options;
    const how = { batchRows, signal, retries: this.#run({}).retries, ...(orderedBy ? { orderedBy } : {}) };
    yield* streamRows(this.#chosen(options), statementOf(sql, parameters), how) as AsyncGenerator<R>;
  }

  /** A transaction on the key's shard: committed when the work resolves, rolled back when it rejects. */
  withTransaction<T>(
    key: ShardKey,
    work: (transaction: ShardTransaction) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    const { isolation = 'read committed', reruns = 0 } = options;
    const limit = this.#run(options);
    return runTransaction(this.#shardOf(key), { isolation, limit, reruns, retries: limit.retries }, work);
  }

  /**
   * A transaction over the shards that the work names: all of its changes last, or none, whatever dies. Needs
   * `max_prepared_transactions` on the servers; makes schema `pgherd_sdk` with one table on the first shard that is named.
   */
  withDistributedTransaction<T>(
    work: (transaction: DistributedTransaction) => Promise<T>,
    options: Omit<TransactionOptions, 'reruns'> = {},
  ): Promise<T> {
    const limit = this.#run(options);
    const context = {
      ...{ name: this.#name, shards: this.#shards, limit, retries: limit.retries, prepared: this.#preparedHomes },
      shardOf: (key: ShardKey) => this.#shardOf(key),
      isolation: options.isolation ?? 'read committed',
      onStep: this.#options.onStep ?? (() => {}),
    };
    return runDistributed(context, work);
  }

  /**
   * Settles transactions over several shards that a process left half done when it died: to be called at the start and from time to
   * time, in any process. `olderThanMs` (60,000 unless said): younger ones may be under way, and are left.
   */
  recover({ olderThanMs = 60_000 }: Partial<RecoveryOptions> = {}): Promise<RecoveryOutcome> {
    return recoverTransactions(this.#shards, this.#name, { olderThanMs });
  }

  close(): void {
    this.#pools.close();
  }

  async #rowsOf<R extends object>(shard: Shard, statement: Statement, options: QueryOptions): Promise<R[]> {
    const result = await runOnShard(shard, statement, this.#run(options));
    return result.rows.map((row) => decodeRow(result, row) as R);
  }

  #shardOf(key: ShardKey): Shard {
    return this.#shards[this.placement.shardOf(key)]!;
  }

  #chosen({ shards }: { readonly shards?: readonly number[] }): readonly Shard[] {
    return shards?.map((id) => shardAt({ shards: this.#shards }, id)) ?? this.#shards;
  }

  #run({ access = 'write', timeoutMs, retries, signal }: QueryOptions): RunOptions {
    return {
      access,
      timeoutMs: timeoutMs ?? this.#options.timeoutMs ?? 30_000,
      retries: retries ?? this.#options.retries ?? 2,
      signal,
    };
  }
}

const concatenate: Merge = { kind: 'concatenate' };

function statementOf(sql: string, parameters: readonly Parameter[]): Statement {
  return { sql, parameters: parameters.map(encodeParameter) };
}

function outcomeOf(shard: number, failures: readonly ShardFailure[], rowCount: number): ShardOutcome {
  const failure = failures.find((each) => each.shard === shard);
  return failure ? { status: 'rejected', ...failure } : { shard, status: 'fulfilled', rowCount };
}
