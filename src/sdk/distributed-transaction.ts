import { randomUUID } from 'node:crypto';
import { ensureDecisionTable } from './decision-table.ts';
import { connect } from './run-statement.ts';
import type { ShardKey } from './shard-key.ts';
import {
  abandonPart,
  beginPart,
  endPart,
  type IsolationLevel,
  type ShardPart,
  type ShardTransaction,
} from './shard-part.ts';
import type { Shard } from './shard-server.ts';
import { lostCommit } from './shard-transaction.ts';
import type { TimeLimit } from './time-limit.ts';
import { decisionGid } from './transaction-gid.ts';
import { type CommitStep, commitParts } from './two-phase-commit.ts';

/** Statements of one transaction over several shards. The first that is named is its home: its COMMIT decides. */
export interface DistributedTransaction {
  /** The part on the shard of a key, begun when it is first asked for. */
  on(key: ShardKey): Promise<ShardTransaction>;
  onShard(shard: number): Promise<ShardTransaction>;
}

export interface DistributedContext {
  readonly name: string;
  readonly shards: readonly Shard[];
  shardOf(key: ShardKey): Shard;
  readonly isolation: IsolationLevel;
  readonly limit: TimeLimit;
  readonly retries: number;
  /** Home shards whose table of decisions is known to be there. */
  readonly prepared: Map<Shard, Promise<void>>;
  onStep(step: CommitStep): void | Promise<void>;
}

/** All of the work's changes, or none: one shard commits plainly, several by two-phase commit. */
export async function runDistributed<T>(
  context: DistributedContext,
  work: (transaction: DistributedTransaction) => Promise<T>,
): Promise<T> {
  const parts = new Map<Shard, Promise<ShardPart>>();
  const open = (shard: Shard) => {
    const known = parts.get(shard);
    if (known) return known;
    const part = openPart(shard, context);
    parts.set(shard, part);
    return part;
  };
  const on = async (shard: Shard) => (await open(shard)).transaction;
  try {
    const value = await work({ on: (key) => on(context.shardOf(key)), onShard: (id) => on(shardAt(context, id)) });
    await commit(await Promise.all(parts.values()), context);
    return value;
  } finally {
    const opened = await Promise.allSettled(parts.values());
    await Promise.all(opened.flatMap((part) => (part.status === 'fulfilled' ? [abandonPart(part.value)] : [])));
  }
}

async function openPart(shard: Shard, { isolation, limit, retries }: DistributedContext): Promise<ShardPart> {
  const connection = await connect(shard.primary, { retries, signal: limit.signal });
  try {
    return await beginPart(shard, connection, { isolation, limit });
  } catch (error) {
    shard.primary.release(connection);
    throw error;
  }
}

async function commit([home, ...others]: readonly ShardPart[], context: DistributedContext): Promise<void> {
  if (home === undefined) return;
  if (others.length === 0) {
    const end = await endPart(home, 'COMMIT', context.limit);
    if (end.kind === 'lost') throw lostCommit(end.error);
    if (end.kind === 'refused') throw end.error;
    return;
  }
  await prepareHome(home.shard, context);
  const gid = decisionGid(context.name, home.shard.id, randomUUID());
  await commitParts(home, others, { gid, limit: context.limit, onStep: context.onStep });
}

function prepareHome(home: Shard, { prepared }: DistributedContext): Promise<void> {
  const known = prepared.get(home);
  if (known) return known;
  const ensured = ensureDecisionTable(home.primary);
  prepared.set(home, ensured);
  ensured.catch(() => prepared.delete(home));
  return ensured;
}

export function shardAt({ shards }: { readonly shards: readonly Shard[] }, id: number): Shard {
  const shard = shards[id];
  if (shard === undefined) throw new RangeError(`there is no shard ${id}: they are 0 to ${shards.length - 1}`);
  return shard;
}
