import { setTimeout as sleep } from 'node:timers/promises';
import { PgError } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';

const firstWaitMs = 50;

/** Runs work again while `mayRepeat` says that nothing can have happened twice; waits ever longer, by chance, in between. */
export async function withRetries<T>(
  retries: number,
  mayRepeat: (error: unknown) => boolean,
  work: (attempt: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      if (attempt >= retries || !mayRepeat(error)) throw error;
    }
    await sleep(firstWaitMs * 2 ** attempt * (0.5 + Math.random()));
  }
}

/** The server could not be reached, or was lost, or takes nobody now. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof PgError && (error.code.startsWith('08') || unavailable.has(error.code));
}

/** 57P01 to 57P03 (the server stops, or starts), 53300 (it has no place). */
const unavailable: ReadonlySet<string> = new Set([
  '57P01',
  '57P02',
  conditions.cannotConnectNow,
  conditions.tooManyConnections,
]);

/** The server has rolled the whole transaction back, so that it can be run again. */
export function wasRolledBack(error: unknown): boolean {
  return (
    error instanceof PgError &&
    (error.code === conditions.serializationFailure || error.code === conditions.deadlockDetected)
  );
}
