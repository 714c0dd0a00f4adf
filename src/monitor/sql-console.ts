import type { IncomingMessage } from 'node:http';
import type { ServerConnection } from '../backend/server-connection.ts';
import { PgError, toErrorFields } from '../core/errors.ts';

export interface ConsoleRequest {
  readonly sql: string;
  /** `plan`: EXPLAIN; `run`: EXPLAIN ANALYZE. */
  readonly explain: 'no' | 'plan' | 'run';
}

export const maxConsoleRows = 1_000;

/** Runs what somebody typed, on a connection of its own. When the page goes away, the statement is cancelled. */
export async function runConsole(
  open: () => Promise<ServerConnection>,
  asked: ConsoleRequest,
  request: IncomingMessage,
) {
  const startMs = performance.now();
  const connection = await open();
  const cancel = () => void connection.cancel().catch(() => {});
  request.socket.once('close', cancel);
  try {
    const { columns, rows, tag } = await connection.queryFirst(textOf(asked), maxConsoleRows);
    return { kind: 'rows' as const, columns, rows, tag, ms: performance.now() - startMs };
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    return { kind: 'error' as const, error: toErrorFields(error), ms: performance.now() - startMs };
  } finally {
    request.socket.off('close', cancel);
    connection.close();
  }
}

function textOf({ sql, explain }: ConsoleRequest): string {
  const options = { no: '', plan: 'EXPLAIN (FORMAT JSON) ', run: 'EXPLAIN (ANALYZE, FORMAT JSON) ' };
  return `${options[explain]}${sql}`;
}

export function readConsoleRequest(value: unknown): ConsoleRequest {
  const { sql, explain = 'no' } = value as { sql?: unknown; explain?: unknown };
  const isKnown = explain === 'no' || explain === 'plan' || explain === 'run';
  if (typeof sql !== 'string' || !isKnown) throw new Error('sql and explain are wanted');
  return { sql, explain };
}
