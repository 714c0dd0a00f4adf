import { pgError } from '../core/errors.ts';
import { wasRolledBack, withRetries } from './retry.ts';
import { connect } from './run-statement.ts';
import { asPgError } from './shard-failures.ts';
import { abandonPart, beginPart, endPart, type IsolationLevel, type ShardTransaction } from './shard-part.ts';
import type { Shard } from './shard-server.ts';
import type { TimeLimit } from './time-limit.ts';

export interface TransactionContext {
  readonly isolation: IsolationLevel;
  readonly limit: TimeLimit;
  /** Of connecting. */
  readonly retries: number;
  /** How often the whole work is run again after 40001 and 40P01, when the server has rolled everything back. */
  readonly reruns: number;
}

/** One shard's own transaction. A COMMIT whose answer is lost is 08007, and never repeated. */
export function runTransaction<T>(
  shard: Shard,
  context: TransactionContext,
  work: (transaction: ShardTransaction) => Promise<T>,
): Promise<T> {
  return withRetries(context.reruns, wasRolledBack, async () => {
    const connection = await connect(shard.primary, { retries: context.retries, signal: context.limit.signal });
    try {
      const part = await beginPart(shard, connection, context);
      const value = await work(part.transaction);
      const end = await endPart(part, 'COMMIT', context.limit);
      if (end.kind === 'lost') throw lostCommit(end.error);
      if (end.kind === 'refused') throw end.error;
      return value;
    } finally {
      await abandonPart({ shard, connection });
    }
  });
}

export function lostCommit(error: unknown) {
  return pgError('transactionResolutionUnknown', 'the connection was lost at COMMIT: the outcome is unknown', {
    detail: asPgError(error).message,
  });
}
