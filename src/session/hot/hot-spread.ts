import type { ServerConnection } from '../../backend/server-connection.ts';
import type { PgError } from '../../core/errors.ts';
import { encodeCommandComplete, parseComplete } from '../../wire/backend.ts';
import type { PreparedStatement, SessionState } from '../session-state.ts';
import { type FailedRun, failedRunOf } from '../shown-error.ts';
import { beginningOf, type Spread } from './spread.ts';
import { SpreadAnswer } from './spread-answer.ts';

/** What the client has asked for. */
interface Asked {
  readonly prepared: PreparedStatement;
  /** Messages that go to the client before the tag. */
  readonly before: readonly Buffer[];
  /** How many of the client's messages it is. */
  readonly messages: number;
}

interface SpreadRun extends Asked {
  readonly spread: Spread;
  readonly connections: readonly ServerConnection[];
  readonly answer: SpreadAnswer;
  readonly startMs: number;
}

/** The rest of the hot path. */
export interface SpreadHost {
  /** For one node: `begin` opens a block before the client's Bind. */
  packet(connection: ServerConnection, spread: Spread, begin: readonly string[]): Buffer;
  /** Null: none is there at once. */
  connectionTo(site: number): ServerConnection | null;
  start(): void;
  /** Of the block around the change. */
  commit(): void;
  settleKeys(): Promise<void>;
  failed(error: PgError, run: FailedRun): void;
}

/**
 * A change that runs as it stands on several nodes, outside of a block: the router's own block is opened on each of them in the same packet, and
 * committed in two phases before the client hears of anything.
 */
export class HotSpread {
  readonly #session: SessionState;
  readonly #host: SpreadHost;
  #run: SpreadRun | null = null;

  constructor(session: SessionState, host: SpreadHost) {
    this.#session = session;
    this.#host = host;
  }

  /** A change is under way, or its commit. */
  get busy(): boolean {
    return this.#run !== null;
  }

  /** False: something has to be waited for. */
  takes(spread: Spread | null, asked: Asked): boolean {
    const { transaction, services, client } = this.#session;
    if (spread === null || transaction.inBlock || services.fence.opening) return false;
    const connections = this.#connections(spread);
    if (connections === null) return false;
    const begin = beginningOf(this.#session);
    const packets = connections.map((connection) => this.#host.packet(connection, spread, begin));
    client.inbox.drop(asked.messages);
    this.#host.start();
    const answer = new SpreadAnswer(client, connections.length, () => this.#answered());
    const { prepared, before, messages } = asked;
    this.#run = { prepared, before, messages, spread, connections, answer, startMs: performance.now() };
    transaction.ensureBlock();
    for (const site of spread.sites) {
      transaction.beginNow(site);
      transaction.markWritten(site);
    }
    for (const [i, connection] of connections.entries())
      connection.submit(packets[i]!, answer.sink(connection, begin.length));
    return true;
  }

  #connections({ sites }: Spread): readonly ServerConnection[] | null {
    const found: ServerConnection[] = [];
    for (const site of sites) {
      const connection = this.#host.connectionTo(site);
      if (connection === null) return null;
      found.push(connection);
    }
    return found;
  }

  /** All nodes are ready again, or gone. */
  #answered(): void {
    const { transaction, services } = this.#session;
    const { spread, answer, startMs } = this.#run!;
    if (answer.error !== null) {
      this.#fail(answer.error);
      return;
    }
    const ms = performance.now() - startMs;
    services.times.add(spread.counter, ms);
    services.meters.routed(spread.statement.kind, spread.rung, ms);
    if (transaction.keyReportCount === 0) this.#host.commit();
    else
      this.#host.settleKeys().then(
        () => this.#host.commit(),
        (error: PgError) => this.#fail(error),
      );
  }

  #fail(error: PgError): void {
    const { spread, connections, prepared, before, answer } = this.#run!;
    for (const { preparedStatements } of connections) {
      for (const text of [spread.preparedAs, ...beginningOf(this.#session)]) preparedStatements.forget(text);
    }
    const isBound = answer.error === null || answer.failedLate;
    for (const bytes of before) if (isBound || bytes === parseComplete) this.#session.client.write(bytes);
    this.#run = null;
    this.#host.failed(error, failedRunOf(spread.statement, prepared));
  }

  /** COMMIT has been answered: what the client is told of the change comes before what it is told of that. */
  sayAnswer(): void {
    const { before, answer } = this.#run!;
    const { client } = this.#session;
    for (const bytes of before) client.write(bytes);
    client.write(encodeCommandComplete(answer.tag));
    this.#run = null;
  }
}
