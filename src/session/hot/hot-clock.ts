import type { ServerConnection } from '../../backend/server-connection.ts';
import type { PgError } from '../../core/errors.ts';
import type { SessionState } from '../session-state.ts';
import { ClockAnswer } from './hot-answer.ts';
import type { NodeMessages } from './node-messages.ts';
import type { ClockConstant } from './route.ts';

/** The rest of the hot path. */
export interface ClockHost {
  /** Null: none is there at once. */
  connectionTo(site: 'coordinator'): ServerConnection | null;
  start(): void;
  /** The clock has answered. */
  told(): void;
  failed(error: PgError | null): void;
}

/** What the clock of a transaction says: the coordinator's, asked once. */
export class HotClock {
  readonly #session: SessionState;
  readonly #messages: NodeMessages;
  readonly #host: ClockHost;

  constructor(session: SessionState, messages: NodeMessages, host: ClockHost) {
    this.#session = session;
    this.#messages = messages;
    this.#host = host;
  }

  /** What it has said already of all of these; null: it has to be asked. */
  values(wanted: readonly ClockConstant[]): readonly string[] | null {
    if (wanted.length === 0) return nothing;
    const values: string[] = [];
    for (const { sql } of wanted) {
      const value = this.#session.transaction.clockValue(sql);
      if (value === null) return null;
      values.push(value);
    }
    return values;
  }

  /** False: something has to be waited for before it can be asked. */
  asks(wanted: readonly ClockConstant[]): boolean {
    const { transaction } = this.#session;
    const connection = this.#host.connectionTo('coordinator');
    if (connection === null) return false;
    const begin = transaction.beginNow('coordinator');
    const sql = `SELECT ${wanted.map((each) => each.sql).join(', ')}`;
    this.#host.start();
    const answer = new ClockAnswer(connection, (values, error) => {
      if (error !== null || values.length !== wanted.length || values.includes(null)) {
        connection.preparedStatements.forget(sql);
        if (begin !== null) connection.preparedStatements.forget(begin);
        this.#host.failed(error);
        return;
      }
      for (const [i, value] of values.entries()) transaction.noteClockValue(wanted[i]!.sql, value!);
      this.#host.told();
    });
    connection.submit(this.#messages.alone(connection, begin, sql), answer);
    return true;
  }
}

const nothing: readonly string[] = [];
