import { type PgError, pgError } from '../core/errors.ts';
import type { SessionState } from './session-state.ts';

/*
 * How long a client may keep silent. The router counts, for a server of a transaction is idle too while the client waits for
 * another one, and a pooled connection is idle most of the time.
 */

/** Of the session, or for this transaction only (SET LOCAL). */
function timeoutOf(session: SessionState, name: string): string {
  return session.localTimeouts.get(name) ?? session.transaction.settings.values.get(name) ?? '0';
}

/** What SHOW says; null: the setting is the servers'. */
export function shownTimeout(session: SessionState, name: string): string | null {
  return session.localTimeouts.get(name) ?? session.transaction.settings.values.get(name) ?? null;
}

/** Calls `expired` when the client keeps silent for too long. Gives what stops the clock. */
export function watchIdle(session: SessionState, expired: (error: PgError) => void): () => void {
  const inTransaction = session.transaction.status !== 'I';
  const name = inTransaction ? 'idle_in_transaction_session_timeout' : 'idle_session_timeout';
  const waitMs = milliseconds(timeoutOf(session, name));
  if (waitMs === 0) return () => {};
  const timer = setTimeout(() => {
    const condition = inTransaction ? 'idleInTransactionSessionTimeout' : 'idleSessionTimeout';
    const what = inTransaction ? 'idle-in-transaction timeout' : 'idle-session timeout';
    expired(pgError(condition, `terminating connection due to ${what}`, { severity: 'FATAL' }));
  }, waitMs);
  return () => clearTimeout(timer);
}

/** As current_setting() writes it, or as a startup packet may: `300ms`, `5min`, `1000`. At most 2^31 - 1, what PostgreSQL takes. */
export function milliseconds(value: string): number {
  const [, number = '', unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/.exec(value) ?? [];
  const factor = unitMs[unit];
  if (number !== '' && factor !== undefined && Number(number) * factor <= 0x7fffffff)
    return Math.round(Number(number) * factor);
  throw pgError('invalidParameterValue', `invalid value for a timeout: "${value}"`);
}

const unitMs: Readonly<Record<string, number>> = {
  ...{ '': 1, us: 0.001, ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 },
};
