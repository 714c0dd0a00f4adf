import { PgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';

export type Attempt<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: PgError };

/** Runs work inside a transaction so that its failure leaves the transaction as it was. */
export async function attempt<T>(runner: SqlRunner, work: () => Promise<T>): Promise<Attempt<T>> {
  await runner.query('SAVEPOINT pgherd_attempt');
  try {
    const value = await work();
    await runner.query('RELEASE SAVEPOINT pgherd_attempt');
    return { kind: 'done', value };
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    await runner.query('ROLLBACK TO SAVEPOINT pgherd_attempt; RELEASE SAVEPOINT pgherd_attempt');
    return { kind: 'failed', error };
  }
}
