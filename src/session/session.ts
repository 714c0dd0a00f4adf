import { AssertionError } from '../core/assert.ts';
import { PgError, pgError, toErrorFields } from '../core/errors.ts';
import { emptyQueryResponse, encodeErrorResponse, encodeReadyForQuery } from '../wire/backend.ts';
import { decodeQuery } from '../wire/frontend.ts';
import { frontend as message } from '../wire/message-types.ts';
import { endTransaction } from './end-transaction.ts';
import { ExtendedProtocol } from './extended.ts';
import { HotPath } from './hot/hot-path.ts';
import { WorkClock, watchIdle } from './idle-timeouts.ts';
import type { Message } from './inbox.ts';
import { SimpleOutput } from './outputs.ts';
import { executionContext, runStatement } from './run-statement.ts';
import type { SessionState } from './session-state.ts';
import { type FailedRun, withFunctionNames, withUserPosition, withUserSchema } from './shown-error.ts';

/**
 * One client, from ReadyForQuery to its end: takes its messages one after the other. Invariant: between messages outside an
 * extended pipeline no implicit transaction is open.
 */
export class Session {
  readonly #state: SessionState;
  readonly #extended: ExtendedProtocol;
  /** After an error in an extended pipeline everything up to Sync is skipped. */
  #skipToSync = false;
  readonly #hot: HotPath;
  readonly #clock: WorkClock;
  /** ReadyForQuery was the last word. */
  #resting = true;

  constructor(state: SessionState) {
    this.#state = state;
    this.#clock = new WorkClock(state, (error) => state.client.fail(error.fields));
    this.#extended = new ExtendedProtocol(state);
    this.#hot = new HotPath(state, {
      extended: this.#extended,
      failed: (error, run) => this.#hotFailed(error, run),
      commit: () => endTransaction(state, 'COMMIT'),
      settleKeys: () => state.keys.settle(executionContext(state, [])),
    });
  }

  /** Until the client leaves. */
  async run(): Promise<void> {
    const { inbox } = this.#state.client;
    try {
      for (;;) {
        if (this.#resting && !this.#hasWork()) await this.#rest();
        const next = inbox.take();
        if (next === null) {
          if (inbox.closed) return;
          await inbox.ready();
          continue;
        }
        if (next.type === message.terminate) return;
        this.#resting = false;
        this.#clock.startWork();
        await this.#handle(next);
        this.#clock.endWork();
        this.#state.runningSinceMs = null;
      }
    } finally {
      this.#clock.stop();
      await this.#extended.closePortals().catch(() => {});
      await this.#state.transaction.abandon();
      this.#state.client.end();
    }
  }

  /** Whether there is something to do that the hot path leaves. */
  readonly #hasWork = (): boolean => {
    try {
      if (this.#hot.leavesNext()) return true;
    } catch (error) {
      // It must not get out: whoever asks is some socket's event. The other way takes the message, and reports what it finds.
      this.#state.services.log.error({ error, stack: (error as Error).stack }, 'internal error');
      return !this.#hot.busy;
    }
    return this.#state.client.inbox.closed && !this.#hot.busy;
  };

  async #rest(): Promise<void> {
    const stop = watchIdle(this.#state, (error) => this.#state.client.fail(error.fields));
    await this.#state.client.inbox.ready(this.#hasWork);
    stop();
  }

  /** The hot path hands over what has gone wrong. */
  async #hotFailed(error: PgError, run: FailedRun | null): Promise<void> {
    const state = this.#state;
    let shown: unknown = error;
    if (run !== null) {
      state.keys.forget(state);
      shown = await withUserPosition(state, run, error);
    }
    await this.#failed(shown);
    this.#ready();
  }

  async #handle({ type, frame }: Message): Promise<void> {
    const state = this.#state;
    if (this.#skipToSync && type !== message.sync) return;
    state.startStatement();
    switch (type) {
      case message.query:
        return this.#simpleQuery(frame);
      case message.sync:
        return this.#sync();
      case message.flush:
      // What remains of a COPY that failed is ignored.
      case message.copyData:
      case message.copyDone:
      case message.copyFail:
        return;
      default:
        return this.#extendedMessage(type, frame);
    }
  }

  async #simpleQuery(frame: Buffer): Promise<void> {
    const { client, transaction, services } = this.#state;
    const output = new SimpleOutput(client);
    try {
      await this.#extended.spoolAll();
      const statements = services.statements.parse(decodeQuery(frame));
      if (statements.length === 0) client.write(emptyQueryResponse);
      for (const statement of statements) {
        output.sayComplete();
        this.#clock.startStatement();
        if (statements.length > 1 && statement.kind !== 'TransactionStmt') transaction.ensureBlock();
        await runStatement(this.#state, { statement, parameters: [], extended: false }, output);
      }
      // A portal lives no longer than its transaction.
      if (!transaction.explicit) await this.#extended.closePortals();
      await this.#endImplicit('COMMIT');
      output.sayComplete();
    } catch (error) {
      await this.#failed(error);
    }
    this.#ready();
  }

  async #extendedMessage(type: number, frame: Buffer): Promise<void> {
    const extended = this.#extended;
    try {
      switch (type) {
        case message.parse:
          return await extended.parse(frame);
        case message.bind:
          return await extended.bind(frame);
        case message.describe:
          return extended.describe(frame);
        case message.execute: {
          const alone = this.#state.client.inbox.peekType() === message.sync;
          return await extended.execute(frame, alone);
        }
        case message.close:
          return await extended.close(frame);
        default:
          throw pgError('protocolViolation', `invalid frontend message type ${type}`, { severity: 'FATAL' });
      }
    } catch (error) {
      this.#skipToSync = true;
      await this.#failed(error);
    }
  }

  async #sync(): Promise<void> {
    this.#skipToSync = false;
    try {
      if (!this.#state.transaction.explicit) await this.#extended.closePortals();
      await this.#endImplicit('COMMIT');
    } catch (error) {
      await this.#failed(error);
    }
    this.#ready();
  }

  /** Ends what the router itself opened around the client's statements. */
  async #endImplicit(verb: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    const { transaction } = this.#state;
    if (transaction.explicit) return;
    if (transaction.inBlock) await endTransaction(this.#state, verb);
    else transaction.releaseIdle();
  }

  /** An error ends the implicit transaction, or fails the client's own; the client is told. */
  async #failed(cause: unknown): Promise<void> {
    const error = this.#state.explain(cause);
    const { client, transaction, services } = this.#state;
    const fields = withFunctionNames(withUserSchema(toErrorFields(error)), this.#state.catalog);
    if (!(error instanceof PgError)) services.log.error({ error, stack: (error as Error).stack }, 'internal error');
    if (transaction.explicit) transaction.fail();
    else {
      await this.#extended.closePortals().catch(() => {});
      await this.#endImplicit('ROLLBACK').catch(() => {});
    }
    client.write(encodeErrorResponse(fields));
    if (fields.severity === 'FATAL' || error instanceof AssertionError) client.end();
  }

  #ready(): void {
    this.#resting = true;
    this.#state.client.write(encodeReadyForQuery(this.#state.transaction.status));
  }
}
