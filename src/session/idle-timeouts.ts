import { type PgError, pgError } from '../core/errors.ts';
import type { SessionState } from './session-state.ts';

/*
 * How long a client may keep silent, and its work may last. The router counts, for a server of a transaction is idle too while the client waits for
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
  return session.services.clock.after(waitMs, () => {
    const condition = inTransaction ? 'idleInTransactionSessionTimeout' : 'idleSessionTimeout';
    const what = inTransaction ? 'idle-in-transaction timeout' : 'idle-session timeout';
    expired(pgError(condition, `terminating connection due to ${what}`, { severity: 'FATAL' }));
  });
}

/**
 * How long a transaction may last, and a statement with all its steps: servers count only what each of them does. One for each
 * session.
 */
export class WorkClock {
  readonly #session: SessionState;
  readonly #expired: (error: PgError) => void;
  #transaction: { readonly waitMs: number; readonly stop: () => void } | null = null;
  #stopStatement: (() => void) | null = null;

  constructor(session: SessionState, expired: (error: PgError) => void) {
    this.#session = session;
    this.#expired = expired;
  }

  /** A message is taken up. */
  startWork(): void {
    this.#watchTransaction();
    this.startStatement();
  }

  /** Of several in one message each has the whole time. */
  startStatement(): void {
    this.#stopStatement?.();
    this.#stopStatement = null;
    const waitMs = milliseconds(timeoutOf(this.#session, 'statement_timeout'));
    if (waitMs === 0) return;
    const reason = pgError('queryCanceled', 'canceling statement due to statement timeout');
    this.#stopStatement = this.#session.services.clock.after(waitMs, () => this.#session.cancelBecause(reason));
  }

  /** It is done; the transaction may go on, and what it set may have changed. */
  endWork(): void {
    this.#stopStatement?.();
    this.#stopStatement = null;
    if (this.#session.transaction.status === 'I') this.#forgetTransaction();
    else this.#watchTransaction();
  }

  stop(): void {
    this.#stopStatement?.();
    this.#forgetTransaction();
  }

  #watchTransaction(): void {
    const waitMs = milliseconds(timeoutOf(this.#session, 'transaction_timeout'));
    if (waitMs === (this.#transaction?.waitMs ?? 0)) return;
    this.#forgetTransaction();
    if (waitMs === 0) return;
    const stop = this.#session.services.clock.after(waitMs, () => {
      this.#expired(
        pgError('transactionTimeout', 'terminating connection due to transaction timeout', { severity: 'FATAL' }),
      );
    });
    this.#transaction = { waitMs, stop };
  }

  #forgetTransaction(): void {
    this.#transaction?.stop();
    this.#transaction = null;
  }
}

/**
 * As current_setting() writes it, or as a startup packet may: `300ms`, `5min`, `1000`, `1e3`, `0x10`, `010` (octal; manual, 19.1.1). At most
 * 2^31 - 1, what PostgreSQL takes.
 */
export function milliseconds(value: string): number {
  const [, written = '', unit = ''] = timeout.exec(value) ?? [];
  const factor = unitMs[unit];
  const number = /^0[0-7]+$/.test(written) ? Number.parseInt(written, 8) : Number(written);
  if (written !== '' && factor !== undefined && number * factor <= 0x7fffffff) return Math.round(number * factor);
  throw pgError('invalidParameterValue', `invalid value for a timeout: "${value}"`);
}

const timeout = /^\s*[+-]?(0[xX][\da-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-z]*)\s*$/;

const unitMs: Readonly<Record<string, number>> = {
  ...{ '': 1, us: 0.001, ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 },
};
