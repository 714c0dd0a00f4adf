import { PgError } from './errors.ts';
import { conditions } from './sqlstate.ts';

/**
 * The values of work done in parallel, once all of it has ended; or its error. Work of one transaction fails together: what says only
 * that the transaction had failed already (25P02), or was lost with it, gives way to the error that began it.
 */
export async function settled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(work);
  const values: T[] = [];
  const errors: unknown[] = [];
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') values.push(outcome.value);
    else errors.push(outcome.reason);
  }
  if (errors.length > 0) throw errors.find((error) => !isFollowUp(error)) ?? errors[0];
  return values;
}

function isFollowUp(error: unknown): boolean {
  return error instanceof PgError && error.code === conditions.inFailedSqlTransaction;
}
