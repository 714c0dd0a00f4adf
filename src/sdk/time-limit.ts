import type { ServerConnection } from '../backend/server-connection.ts';
import { PgError, pgError } from '../core/errors.ts';

export interface TimeLimit {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** How long a server may take to heed a cancel request before its connection is given up. */
const cancelWaitMs = 5_000;

/**
 * Runs work on a connection within a time: then the server is asked to cancel it, and if it doesn't, the connection is closed. Rejects
 * with 57014 in both cases.
 */
export async function withinTime<T>(
  connection: ServerConnection,
  { timeoutMs, signal }: TimeLimit,
  work: () => Promise<T>,
): Promise<T> {
  if (signal?.aborted) throw pgError('queryCanceled', 'the statement was given up before it was sent');
  let why: string | null = null;
  let lastResort: NodeJS.Timeout | undefined;
  const stop = (reason: string) => {
    if (why !== null) return;
    why = reason;
    connection.cancel().catch(() => {});
    lastResort = setTimeout(() => connection.close(), cancelWaitMs);
  };
  const abort = () => stop('it was given up');
  const timer = setTimeout(() => stop(`it did not end within ${timeoutMs} ms`), timeoutMs);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await work();
  } catch (error) {
    if (why === null) throw error;
    const detail = error instanceof PgError ? error.message : String(error);
    throw pgError('queryCanceled', `the statement on ${connection.target.label} was cancelled: ${why}`, { detail });
  } finally {
    clearTimeout(timer);
    clearTimeout(lastResort);
    signal?.removeEventListener('abort', abort);
  }
}
