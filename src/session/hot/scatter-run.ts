import type { ServerConnection } from '../../backend/server-connection.ts';
import { type PgError, pgError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { columnArrays } from '../../execute/array-value.ts';
import { maxOpeningMs } from '../../execute/global-snapshot.ts';
import { keepingPlans } from '../../transaction/kept-plans.ts';
import { encodeCommandComplete, fieldCountOf, parseComplete } from '../../wire/backend.ts';
import { headerBytes } from '../../wire/message-reader.ts';
import { backend as message } from '../../wire/message-types.ts';
import { resultTypeChanged } from '../outputs.ts';
import type { SessionState } from '../session-state.ts';
import { HotAnswer } from './hot-answer.ts';
import { NodeAnswer, type NodeListener } from './node-answers.ts';
import { NodeMessages, type ResultFormats, type SentValues } from './node-messages.ts';
import type { Scatter } from './scatter.ts';

/** One run of a scatter for the client. */
export interface ScatterAsked {
  readonly scatter: Scatter;
  readonly values: SentValues;
  readonly formats: ResultFormats;
  /** Messages that go to the client before any row. */
  readonly before: Buffer[];
  /** Of the rows as they are described to the client; null: not known. */
  readonly fieldCount: number | null;
  /** The nodes are to keep their plans, whatever the values. */
  readonly keepsPlans: boolean;
}

export type ScatterOutcome =
  /** CommandComplete, not said yet. */
  | { readonly kind: 'done'; readonly tag: Buffer }
  | { readonly kind: 'failed'; readonly error: PgError }
  /** Nothing has been said, and the way that takes everything is to run it. `tooLarge`: from now on. */
  | { readonly kind: 'again'; readonly tooLarge: boolean };

/**
 * `opening`: inside the fence, until every node has its snapshot. `open`: rows go on. `given up`: what the nodes still send is nobody's, and
 * when all have ended the outcome is told.
 */
type Phase =
  | { readonly kind: 'opening'; unbound: number; readonly stopClock: () => void }
  | { readonly kind: 'open' }
  | { readonly kind: 'given up'; readonly outcome: ScatterOutcome };

/**
 * Runs scatters, one at a time, with no promise between: snapshots under the fence as decision 4 has it, rows, the combining statement. Whatever
 * is not in order at once is the other way's: a commit in the fence, servers that keep others waiting, more rows than a statement carries.
 */
export class ScatterRun implements NodeListener {
  readonly #session: SessionState;
  readonly #ended: (outcome: ScatterOutcome) => void;
  readonly #messages = new NodeMessages();
  readonly #combined: HotAnswer;
  readonly #answers: NodeAnswer[] = [];
  #asked: ScatterAsked | null = null;
  #phase: Phase = { kind: 'open' };
  /** Nodes that have not ended. */
  #running = 0;
  /** Rows to combine, or that came before all nodes had their snapshots: bodies, or whole frames. */
  #rows: Buffer[] = [];
  #rowsBytes = 0;
  #seen = 0;
  #hasAnswered = false;
  #coordinator: ServerConnection | null = null;

  constructor(session: SessionState, ended: (outcome: ScatterOutcome) => void) {
    this.#session = session;
    this.#ended = ended;
    this.#combined = new HotAnswer(session.client, () => this.#answered(), neverMoved);
  }

  /** False: something would have to be waited for, and nothing has begun. */
  start(asked: ScatterAsked): boolean {
    const { fence } = this.#session.services;
    const { sites } = asked.scatter;
    if (!fence.enterNow(sites)) return false;
    const connections = this.#connections(asked);
    if (connections === null) {
      fence.leaveNow();
      return false;
    }
    this.#begin(asked, connections);
    for (const [i, connection] of connections.entries()) this.#send(asked, connection, this.#answers[i]!);
    return true;
  }

  /** Null: not all are there at once. */
  #connections({ scatter, keepsPlans }: ScatterAsked): ServerConnection[] | null {
    const { transaction } = this.#session;
    const wanted = keepsPlans ? keepingPlans(transaction.settings) : transaction.settings;
    const connections: ServerConnection[] = [];
    for (const site of scatter.sites) {
      const connection = transaction.joinNow(site, wanted);
      if (connection === null) return null;
      connections.push(connection);
    }
    return connections;
  }

  #begin(asked: ScatterAsked, connections: readonly ServerConnection[]): void {
    this.#asked = asked;
    while (this.#answers.length < connections.length) this.#answers.push(new NodeAnswer(this));
    const stopClock = this.#session.services.clock.after(maxOpeningMs, () => this.#giveUp(again));
    this.#phase = { kind: 'opening', unbound: connections.length, stopClock };
    this.#running = connections.length;
    this.#rows = [];
    this.#rowsBytes = 0;
    this.#seen = 0;
    this.#hasAnswered = false;
    this.#coordinator = null;
  }

  #send({ scatter, values, formats }: ScatterAsked, connection: ServerConnection, answer: NodeAnswer): void {
    const passes = scatter.end.kind === 'pass';
    const how = { formats: passes ? formats : binaryRows, flushes: true };
    const bytes = this.#messages.scatter(connection, scatter.fragment, { values, columns: [] }, how);
    answer.start(connection);
    if (passes) this.#session.client.attach(connection);
    connection.submit(bytes, answer);
  }

  bound(): void {
    const phase = this.#phase;
    if (phase.kind !== 'opening') return;
    phase.unbound -= 1;
    if (phase.unbound > 0) return;
    if (this.#leaveFence(phase) === 'doubtful') {
      this.#giveUp(again);
      return;
    }
    this.#phase = { kind: 'open' };
    if (this.#asked!.scatter.end.kind === 'pass') {
      const early = this.#rows;
      this.#rows = [];
      for (const frame of early) this.#passEarly(frame);
    }
    for (const answer of this.#used) answer.resume();
  }

  row(frame: Buffer, from: NodeAnswer, first: boolean): void {
    const { scatter, fieldCount } = this.#asked!;
    if (this.#phase.kind === 'given up') return;
    if (scatter.end.kind === 'combine') {
      this.#keep(Buffer.from(frame.subarray(headerBytes)));
      if (this.#rowsBytes > limits.maxInlineMotionBytes) this.#giveUp(tooLarge);
      return;
    }
    // The table may have changed while the statement waited for a lock of it.
    if (first && fieldCount !== null && fieldCountOf(frame) !== fieldCount) this.failed(resultTypeChanged(), true);
    else if (this.#phase.kind === 'open') this.#pass(frame);
    else {
      this.#keep(Buffer.from(frame));
      if (this.#rowsBytes > maxEarlyBytes) from.pause();
    }
  }

  #keep(row: Buffer): void {
    this.#rows.push(row);
    this.#rowsBytes += row.length + 4;
  }

  /** Of rows that nobody combines. */
  #pass(frame: Buffer): void {
    const { end } = this.#asked!.scatter;
    if (end.kind !== 'pass') return;
    this.#seen += 1;
    if (this.#seen > end.offsetRows && this.#seen - end.offsetRows <= end.limitRows) this.#say(frame);
  }

  told(frame: Buffer): void {
    if (this.#asked!.scatter.end.kind !== 'pass' || this.#phase.kind === 'given up') return;
    if (this.#phase.kind === 'opening') this.#keep(Buffer.from(frame));
    else this.#say(frame);
  }

  #passEarly(frame: Buffer): void {
    if (frame[0] === message.dataRow) this.#pass(frame);
    else this.#say(frame);
  }

  #say(frame: Buffer): void {
    this.#sayBefore();
    this.#session.client.write(frame);
  }

  failed(error: PgError, executing: boolean): void {
    if (this.#phase.kind === 'given up') return;
    if (executing) this.#sayBefore();
    else this.#sayParsed();
    this.#giveUp({ kind: 'failed', error });
  }

  /** The first reason counts. */
  #giveUp(outcome: ScatterOutcome): void {
    const phase = this.#phase;
    if (phase.kind === 'given up') return;
    this.#phase = { kind: 'given up', outcome };
    this.#rows = [];
    if (phase.kind === 'opening') this.#leaveFence(phase);
    for (const answer of this.#used) {
      if (phase.kind === 'opening' || outcome.kind === 'again') answer.cancel();
      answer.resume();
    }
  }

  #leaveFence({ stopClock }: Extract<Phase, { kind: 'opening' }>): 'sure' | 'doubtful' {
    stopClock();
    return this.#session.services.fence.leaveNow();
  }

  ended({ connection }: NodeAnswer): void {
    if (this.#asked!.scatter.end.kind === 'pass') this.#session.client.detach(connection);
    this.#running -= 1;
    if (this.#running > 0) return;
    if (this.#phase.kind !== 'open') this.#endEarly();
    else if (this.#session.signal.aborted) this.#endCancelled();
    else if (this.#asked!.scatter.end.kind === 'combine') this.#combine();
    else this.#done(encodeCommandComplete(`SELECT ${this.#passed}`));
  }

  #endCancelled(): void {
    this.#sayBefore();
    this.#end({ kind: 'failed', error: cancelled() });
  }

  get #passed(): number {
    const { end } = this.#asked!.scatter;
    return end.kind === 'pass' ? Math.max(0, Math.min(this.#seen - end.offsetRows, end.limitRows)) : 0;
  }

  #endEarly(): void {
    const phase = this.#phase;
    let outcome: ScatterOutcome = phase.kind === 'given up' ? phase.outcome : wordless;
    // The other way would know nothing of the cancel request.
    if (outcome.kind === 'again' && this.#session.signal.aborted) outcome = { kind: 'failed', error: cancelled() };
    if (phase.kind === 'opening') this.#leaveFence(phase);
    const { fragment } = this.#asked!.scatter;
    if (outcome.kind === 'failed') {
      for (const { connection } of this.#used) connection.preparedStatements.forget(fragment.preparedAs);
    }
    this.#end(outcome);
  }

  #combine(): void {
    const { transaction, signal } = this.#session;
    const connection = transaction.joinNow('coordinator');
    if (connection !== null) {
      this.#combineOn(connection);
      return;
    }
    transaction.join('coordinator', signal).then(
      (joined) => this.#combineOn(joined),
      (error: PgError) => this.#end({ kind: 'failed', error }),
    );
  }

  #combineOn(connection: ServerConnection): void {
    const { scatter, values, formats, before, fieldCount } = this.#asked!;
    if (scatter.end.kind !== 'combine') return;
    const columns = columnArrays(this.#rows, scatter.end.elementOids);
    this.#rows = [];
    const bytes = this.#messages.scatter(connection, scatter.end.sql, { values, columns }, { formats, flushes: false });
    this.#coordinator = connection;
    this.#combined.start(connection, before, { ownCommands: 0, fieldCount, isShared: false });
    connection.submit(bytes, this.#combined);
  }

  #answered(): void {
    const { tag, error } = this.#combined;
    const { end } = this.#asked!.scatter;
    if (error === null && tag !== null) {
      this.#combined.sayBefore();
      this.#end({ kind: 'done', tag });
      return;
    }
    if (end.kind === 'combine') this.#coordinator?.preparedStatements.forget(end.sql.preparedAs);
    this.#end(error === null ? wordless : { kind: 'failed', error });
  }

  #done(tag: Buffer): void {
    this.#sayBefore();
    this.#end({ kind: 'done', tag });
  }

  #end(outcome: ScatterOutcome): void {
    this.#asked = null;
    this.#ended(outcome);
  }

  #sayBefore(): void {
    if (this.#hasAnswered) return;
    this.#hasAnswered = true;
    for (const bytes of this.#asked!.before) this.#session.client.write(bytes);
  }

  /** The node has not come to its BindComplete, so neither does the client hear of one. */
  #sayParsed(): void {
    const { before } = this.#asked!;
    if (!this.#hasAnswered && before[0] === parseComplete) this.#session.client.write(parseComplete);
    this.#hasAnswered = true;
  }

  /** Of this run. */
  get #used(): readonly NodeAnswer[] {
    return this.#answers.slice(0, this.#asked!.scatter.sites.length);
  }
}

const again: ScatterOutcome = { kind: 'again', tooLarge: false };
const tooLarge: ScatterOutcome = { kind: 'again', tooLarge: true };

const wordless: ScatterOutcome = {
  kind: 'failed',
  error: pgError('protocolViolation', 'a server ended a statement without a word'),
};

/** What a server may send before the others have their snapshots. */
const maxEarlyBytes = 262_144;

/** The combining statement is in no line with others. */
const neverMoved = () => {};

const binaryRows: ResultFormats = { resultFormatCount: 1, resultFormatOf: () => 1 };

function cancelled(): PgError {
  return pgError('queryCanceled', 'canceling statement due to user request');
}
