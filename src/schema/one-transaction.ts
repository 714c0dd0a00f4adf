import { setTimeout as sleep } from 'node:timers/promises';
import { PgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { conditions } from '../core/sqlstate.ts';

/** Runs work in a transaction of its own on a connection that has none. */
export async function inOneTransaction<T>(
  runner: SqlRunner,
  work: () => Promise<T>,
  { lockTimeoutMs }: { readonly lockTimeoutMs?: number } = {},
): Promise<T> {
  await runner.query(lockTimeoutMs === undefined ? 'BEGIN' : `BEGIN; SET LOCAL lock_timeout = ${lockTimeoutMs}`);
  try {
    const result = await work();
    await runner.query('COMMIT');
    return result;
  } catch (error) {
    await runner.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

const firstWaitMs = 50;
const longestWaitMs = 2_000;

/** Repeats what gave up waiting for a lock, until it is done or the signal stops it: those who hold locks are not kept waiting. */
export async function retriedForLocks<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
    try {
      return await work();
    } catch (error) {
      const busy = error instanceof PgError && error.code === conditions.lockNotAvailable;
      if (!busy || signal.aborted) throw error;
      await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  }
}
