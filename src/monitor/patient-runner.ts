import { pgError } from '../core/errors.ts';
import type { QueryResult, SqlRunner } from '../core/runner.ts';

export interface ClosableRunner extends SqlRunner {
  readonly closed: boolean;
  close(): void;
}

/**
 * A connection for something that outlives it: opened when it is needed, opened anew after it was lost, and given up when a question is not
 * answered in time. Questions are asked one after the other.
 */
export class PatientRunner implements SqlRunner {
  readonly #open: () => Promise<ClosableRunner>;
  readonly #waitMs: number;
  #connection: ClosableRunner | null = null;

  constructor(open: () => Promise<ClosableRunner>, waitMs: number) {
    this.#open = open;
    this.#waitMs = waitMs;
  }

  async query(sql: string, parameters?: readonly (string | null)[]): Promise<QueryResult> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.close();
        reject(pgError('connectionFailure', `no answer within ${this.#waitMs / 1_000} s`));
      }, this.#waitMs);
    });
    try {
      return await Promise.race([this.#ask(sql, parameters), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#connection?.close();
    this.#connection = null;
  }

  async #ask(sql: string, parameters?: readonly (string | null)[]): Promise<QueryResult> {
    if (this.#connection === null || this.#connection.closed) this.#connection = await this.#open();
    return this.#connection.query(sql, parameters);
  }
}
