import type { PgError } from '../../core/errors.ts';
import { fieldCountOf } from '../../wire/backend.ts';
import type { PreparedStatement, SessionState } from '../session-state.ts';
import type { KnownStatements } from './known-statements.ts';
import type { ResultFormats } from './node-messages.ts';
import type { RouteScope, ScatterText } from './route-book.ts';
import type { Scatter } from './scatter.ts';
import { type ScatterAsked, type ScatterOutcome, ScatterRun } from './scatter-run.ts';

/** What the client has sent that asks for the run. */
export interface ScatterMessages {
  /** In the extended protocol; null: in the simple one. */
  readonly prepared: PreparedStatement | null;
  /** Query or Bind. */
  readonly frame: Buffer;
  /** How many of the client's messages it is: they stay where they are until the run has ended. */
  readonly messages: number;
  /** `prepared` is made by the first of them. */
  readonly parsed: boolean;
  readonly scope: RouteScope;
}

export interface ScatterHost {
  /** The messages are taken, and the tag is to be said. */
  done(scatter: Scatter, tag: Buffer): void;
  failed(error: PgError, run: ScatterMessages): void;
  /** The messages are another way's. */
  left(): void;
}

/** Statements over several nodes that a client sends again and again: one runs at a time. */
export class HotScatters {
  readonly #session: SessionState;
  readonly #known: KnownStatements;
  readonly #host: ScatterHost;
  readonly #run: ScatterRun;
  #running: (ScatterMessages & { readonly scatter: Scatter }) | null = null;

  constructor(session: SessionState, known: KnownStatements, host: ScatterHost) {
    this.#session = session;
    this.#known = known;
    this.#host = host;
    this.#run = new ScatterRun(session, (outcome) => this.#ended(outcome));
  }

  /** The statement that a Bind has named. True: it has begun. */
  takesBound(messages: ScatterMessages, prepared: PreparedStatement, before: Buffer[]): boolean {
    const scatter = this.#isItsTime ? this.#known.scatter(prepared, messages.scope) : null;
    if (scatter === null) return false;
    const { bind } = this.#known;
    const fieldCount = prepared.fields?.length ?? null;
    return this.#takes(messages, { scatter, values: bind, formats: bind, before, fieldCount, keepsPlans: true });
  }

  /** A text of the simple protocol. */
  takesText(known: ScatterText, frame: Buffer, scope: RouteScope): boolean {
    const scatter = this.#isItsTime ? this.#known.textScatter(known, frame, scope) : null;
    if (scatter === null) return false;
    const { description } = known;
    const values = this.#known.sentLiterals;
    const before = [description];
    return this.#takes(
      { prepared: null, frame, messages: 1, parsed: false, scope },
      // Its numbers were there to plan with, so each server decides for itself whether it wants to.
      { scatter, values, formats: textRows, before, fieldCount: fieldCountOf(description), keepsPlans: false },
    );
  }

  /** Each statement has a snapshot of its own, on all nodes. */
  get #isItsTime(): boolean {
    return !this.#session.transaction.inBlock && this.#session.takesGlobalSnapshots;
  }

  #takes(messages: ScatterMessages, asked: ScatterAsked): boolean {
    if (!this.#run.start(asked)) return false;
    this.#running = { ...messages, scatter: asked.scatter };
    return true;
  }

  #ended(outcome: ScatterOutcome): void {
    const run = this.#running!;
    this.#running = null;
    const { client, transaction, prepared } = this.#session;
    if (outcome.kind === 'again') {
      if (outcome.tooLarge) run.scope.noteLarge(run.scatter);
      transaction.releaseIdle();
      this.#host.left();
      return;
    }
    client.inbox.drop(run.messages);
    if (run.parsed && run.prepared !== null) prepared.set(run.prepared.name, run.prepared);
    if (outcome.kind === 'failed') this.#host.failed(outcome.error, run);
    else {
      transaction.releaseIdle();
      this.#host.done(run.scatter, outcome.tag);
    }
  }
}

const textRows: ResultFormats = { resultFormatCount: 0, resultFormatOf: () => 0 };
