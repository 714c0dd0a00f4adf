import type { ServerConnection } from '../../backend/server-connection.ts';
import { type PgError, pgError } from '../../core/errors.ts';
import { bindComplete, encodeReadyForQuery, parseComplete } from '../../wire/backend.ts';
import { frontend as message } from '../../wire/message-types.ts';
import type { ExtendedProtocol } from '../extended.ts';
import type { SessionState } from '../session-state.ts';
import { type FailedRun, failedRunOf } from '../shown-error.ts';
import type { ParsedStatement } from '../statement-cache.ts';
import { HotAnswer } from './hot-answer.ts';
import { HotBlock } from './hot-block.ts';
import { HotClock } from './hot-clock.ts';
import { HotScatters } from './hot-scatters.ts';
import { hotSettings } from './hot-settings.ts';
import { HotSpread } from './hot-spread.ts';
import { KnownStatements, textOf } from './known-statements.ts';
import { NodeMessages } from './node-messages.ts';
import { emptyPipeline, readPipeline, rowDescription } from './pipeline.ts';
import { HotRide, judge, mayRide, workMs } from './ride.ts';
import type { Leaf } from './route.ts';
import { type RouteScope, routeScope } from './route-book.ts';
import { fieldCountOf, type Run } from './run.ts';
import type { Scatter } from './scatter.ts';

/** Who carries on with what went wrong, and with what is seldom. */
export interface HotHost {
  readonly extended: ExtendedProtocol;
  /** Tells the client of an error; resolves when the session is ready for the next message. `run` null: COMMIT failed. */
  failed(error: PgError, run: FailedRun | null): Promise<void>;
  /** Ends the block that the router has opened around a statement. */
  commit(): Promise<void>;
  /** Settles what triggers have reported of keys. */
  settleKeys(): Promise<void>;
}

/**
 * The way through the router of what is seen again and again: a statement that goes to one shard, BEGIN, and COMMIT on one server. From the
 * client's packet to the node's, and back, nothing is waited for by a promise. Whatever is not of that kind, or not of it at this moment, is left
 * where it is, for the way that takes everything; the two never work at the same time.
 */
export class HotPath {
  readonly #session: SessionState;
  readonly #host: HotHost;
  readonly #known: KnownStatements;
  readonly #block: HotBlock;
  readonly #clock: HotClock;
  readonly #spread: HotSpread;
  readonly #answer: HotAnswer;
  readonly #messages = new NodeMessages();
  readonly #scatters: HotScatters;
  /** What comes next has been tried here. */
  #leaves = false;
  readonly #pipeline = emptyPipeline();
  #busy = false;
  /** Messages are being taken: whoever is done with one leaves the next to that. */
  #taking = false;
  #run: Run | null = null;
  #connection: ServerConnection | null = null;
  /** The BEGIN that went before the statement. */
  #begin: string | null = null;
  #startMs = 0;
  /** The statement is in line with others'; its messages are still in the inbox. */
  #ride: HotRide | null = null;
  /** The Query or Bind that was moved out of such a line: it goes by itself. */
  #moved: { readonly frame: Buffer; readonly startMs: number } | null = null;
  #scope: RouteScope | null = null;
  /** Settings as they were last judged. */
  #settings: unknown = null;
  #settingsAllow = false;

  constructor(session: SessionState, host: HotHost) {
    this.#session = session;
    this.#host = host;
    this.#known = new KnownStatements(session);
    this.#answer = new HotAnswer(
      session.client,
      () => this.#answered(),
      () => this.#takeAgain(),
    );
    this.#block = new HotBlock(session, (tag, error) => this.#committed(tag, error));
    this.#clock = new HotClock(session, this.#messages, {
      connectionTo: (site) => this.#connectionTo(site),
      start: () => this.#start(),
      told: () => this.#rest(),
      failed: (error) => this.#clockFailed(error),
    });
    this.#scatters = new HotScatters(session, this.#known, {
      done: (scatter, tag) => this.#scatterDone(scatter, tag),
      failed: (error, run) => this.#failed(error, this.#failedRun(run)),
      left: () => {
        this.#leaves = true;
        this.#rest();
      },
    });
    this.#spread = new HotSpread(session, {
      packet: (connection, spread, begin) =>
        this.#messages.bound(connection, spread, { bind: this.#known.bind, begin, constants: noConstants }),
      connectionTo: (site) => this.#connectionTo(site),
      start: () => this.#start(),
      commit: () => this.#commitSpread(),
      settleKeys: () => host.settleKeys(),
      failed: (error, run) => this.#failed(error, run),
    });
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** Takes messages for as long as it can. True: the next one is another way's. */
  leavesNext(): boolean {
    this.#taking = true;
    try {
      while (!this.#busy) {
        const next = this.#session.client.inbox.peek(0);
        if (next === undefined) return false;
        if (this.#leaves) {
          this.#leaves = false;
          return true;
        }
        if (!this.#takes(next.type, next.frame)) return true;
      }
      return false;
    } finally {
      this.#taking = false;
    }
  }

  #takes(type: number, frame: Buffer): boolean {
    if ((type !== message.query && type !== message.bind && type !== message.parse) || !this.#allowed()) return false;
    const scope = this.#currentScope();
    if (scope === null) return false;
    return type === message.query ? this.#takesQuery(frame, scope) : this.#takesPipeline(scope);
  }

  /** Nothing about the session asks for more than passing statements on. */
  #allowed(): boolean {
    const session = this.#session;
    const { settings } = session.transaction;
    if (settings !== this.#settings) {
      const { logStatement } = session.services;
      this.#settings = settings;
      this.#settingsAllow = hotSettings(settings.values) && (logStatement === 'none' || logStatement === 'ddl');
      this.#scope = null;
    }
    if (!this.#settingsAllow || !session.isOrdinary || session.transaction.failed) return false;
    return this.#host.extended.clearFinished();
  }

  #currentScope(): RouteScope | null {
    const session = this.#session;
    if (this.#scope !== null && this.#scope.snapshot === session.catalog) return this.#scope;
    const path = session.knownSearchPath;
    this.#scope = path === null ? null : routeScope(session, path);
    return this.#scope;
  }

  #takesQuery(frame: Buffer, scope: RouteScope): boolean {
    const known = this.#known.text(frame, scope);
    if (known?.kind === 'transaction') return this.#takesTransaction(known.statement, noMessages, 1);
    if (known?.kind === 'scatter') return this.#begins(this.#scatters.takesText(known, frame, scope));
    if (known?.kind !== 'route') return false;
    const { route, description } = known;
    const leaf = this.#known.textLeaf(route, frame, scope);
    if (leaf === null) return false;
    const before = description === null ? noMessages : [description];
    return this.#takesStatement({ route, leaf, prepared: null, frame, before, messages: 1 });
  }

  #takesPipeline(scope: RouteScope): boolean {
    const pipeline = this.#pipeline;
    if (!readPipeline(this.#session.client.inbox, pipeline)) return false;
    const { parse, messages } = pipeline;
    const prepared = this.#known.prepared(pipeline, scope);
    if (prepared === null || prepared.statement === null) return false;
    const { bind } = this.#known;
    const before = parse === null ? [bindComplete] : [parseComplete, bindComplete];
    if (pipeline.describes) before.push(rowDescription(prepared.fields, bind));
    let taken = false;
    if (prepared.statement.kind === 'TransactionStmt') {
      taken = this.#takesTransaction(prepared.statement, before, messages);
    } else {
      const found = this.#known.bound(prepared, scope);
      if (found === null && prepared.fields !== null) {
        const run = { prepared, frame: bind.frame, messages, parsed: parse !== null, scope };
        return this.#begins(this.#scatters.takesBound(run, prepared, before));
      }
      if (found === null) {
        taken = this.#spread.takes(this.#known.spread(prepared, scope), { prepared, before, messages });
      } else {
        // `...found` with other members behind it takes microseconds in V8.
        const { route, leaf } = found;
        taken = this.#takesStatement({ route, leaf, prepared, frame: bind.frame, before, messages });
      }
    }
    // Of a statement that waits for the clock, Parse is still to come.
    const leaves = this.#run !== null || this.#spread.busy || prepared.statement.kind === 'TransactionStmt';
    if (taken && leaves && parse !== null) this.#session.prepared.set(prepared.name, prepared);
    return taken;
  }

  #begins(taken: boolean): boolean {
    if (taken) this.#start();
    return taken;
  }

  #scatterDone({ statement, plan, counter }: Scatter, tag: Buffer): void {
    const { times, meters } = this.#session.services;
    const ms = performance.now() - this.#startMs;
    times.add(counter, ms);
    meters.routed(statement.kind, plan.rung, ms);
    this.#say(tag);
  }

  #takesStatement(run: Run): boolean {
    const { transaction, services, client } = this.#session;
    const { route, leaf } = run;
    if (route.writes && !transaction.inBlock && services.fence.opening) return false;
    if (transaction.explicit && !isPlainBegin(transaction.beginText)) return false;
    const constants = this.#clock.values(leaf.constants);
    // The statement stays where it is, and is taken up when the clock has answered.
    if (constants === null) return this.#clock.asks(leaf.constants);
    if (run.frame !== this.#moved?.frame && mayRide(run, this.#session) && this.#rides(run)) return true;
    const connection = this.#connectionTo(leaf.site);
    if (connection === null) return false;
    const begin = transaction.beginNow(leaf.site);
    const bytes = this.#encode(run, connection, begin, constants);
    client.inbox.drop(run.messages);
    this.#start(this.#moved?.frame === run.frame ? this.#moved.startMs : undefined);
    if (route.writes) transaction.markWritten(leaf.site);
    this.#run = run;
    this.#connection = connection;
    this.#begin = begin;
    const ownCommands = begin === null ? 0 : 1;
    this.#answer.start(connection, run.before, { ownCommands, fieldCount: fieldCountOf(run), isShared: false });
    connection.submit(bytes, this.#answer);
    return true;
  }

  /** Joins the line of other sessions' statements on one connection; false: there is none. */
  #rides(run: Run): boolean {
    const { leaf } = run;
    const shared = this.#session.sharedConnection(leaf.site);
    if (shared === null) return false;
    const { connection } = shared;
    const prepares = leaf.pieces === null && !connection.preparedStatements.has(leaf.preparedAs);
    const bytes = this.#encode(run, connection, null, noConstants);
    this.#start();
    this.#run = run;
    this.#connection = connection;
    this.#begin = null;
    this.#ride = new HotRide(this.#answer, leaf.site, shared);
    this.#session.ride = this.#ride;
    this.#answer.start(connection, run.before, { ownCommands: 0, fieldCount: fieldCountOf(run), isShared: true });
    shared.join(bytes, this.#answer, prepares);
    return true;
  }

  /** Nothing of it has been answered, or will be. */
  #takeAgain(): void {
    this.#moved = { frame: this.#run!.frame, startMs: this.#startMs };
    this.#endRide();
    this.#run = null;
    this.#busy = false;
    if (!this.#taking) this.#session.client.inbox.arrived();
  }

  #endRide(): void {
    this.#ride = null;
    this.#session.ride = null;
  }

  /** Ends the block that was opened around a change over several nodes. */
  #commitSpread(): void {
    this.#startMs = performance.now();
    const end = this.#block.implicitEnd();
    if (end !== null) this.#block.commit(end);
    else {
      this.#host.commit().then(
        () => this.#committed(null, null),
        (error: PgError) => this.#committed(null, error),
      );
    }
  }

  #start(startMs = performance.now()): void {
    this.#busy = true;
    this.#startMs = startMs;
    this.#session.startStatement();
  }

  /** Null: none is there at once. */
  #connectionTo(site: Leaf['site'] | 'coordinator'): ServerConnection | null {
    return this.#session.transaction.joinNow(site);
  }

  #encode(run: Run, connection: ServerConnection, begin: string | null, constants: readonly string[]): Buffer {
    const { leaf } = run;
    const { bind, literals } = this.#known;
    if (leaf.pieces === null) {
      return this.#messages.bound(connection, leaf, { bind, begin: begin === null ? noBegin : [begin], constants });
    }
    const values = leaf.pieces.holes.map((hole) =>
      hole >= 0 ? literals.written(hole) : `'${constants[-1 - hole]}'::${leaf.constants[-1 - hole]!.typeName}`,
    );
    return this.#messages.query(begin, leaf.pieces.texts, values);
  }

  /** As if the statement that needed it had failed. */
  #clockFailed(error: PgError | null): void {
    const { inbox } = this.#session.client;
    inbox.drop(
      inbox.peek(0)?.type === message.query || !readPipeline(inbox, this.#pipeline) ? 1 : this.#pipeline.messages,
    );
    this.#fail(error, null);
  }

  #answered(): void {
    const run = this.#run!;
    const { tag, error } = this.#answer;
    const { transaction, services, client } = this.#session;
    const nowMs = performance.now();
    judge(run, this.#answer, workMs(this.#ride, this.#startMs, nowMs));
    if (this.#ride !== null) {
      client.inbox.drop(run.messages);
      this.#endRide();
    }
    if (error !== null || tag === null) {
      this.#fail(error, run);
      return;
    }
    this.#answer.sayBefore();
    const ms = nowMs - this.#startMs;
    services.times.add(run.leaf.counter, ms);
    services.meters.routed(run.route.statement.kind, 'single shard', ms);
    if (transaction.keyReportCount > 0) {
      this.#settle(tag, run);
      return;
    }
    this.#finish(tag, run);
  }

  #finish(tag: Buffer, { prepared, frame }: Run): void {
    const { transaction } = this.#session;
    if (!transaction.inBlock) transaction.releaseIdle();
    else if (prepared !== null) this.#host.extended.noteFinished(prepared, frame, tag);
    this.#say(tag);
  }

  /** A trigger on the node has touched keys that the router keeps. */
  #settle(tag: Buffer, run: Run): void {
    this.#host.settleKeys().then(
      () => this.#finish(tag, run),
      (error: PgError) => this.#fail(error, run),
    );
  }

  #say(tag: Buffer): void {
    this.#session.client.write(tag);
    this.#ready();
  }

  #ready(): void {
    const { client, transaction } = this.#session;
    client.write(encodeReadyForQuery(transaction.status));
    this.#rest();
  }

  #rest(): void {
    const { client } = this.#session;
    this.#session.runningSinceMs = null;
    this.#busy = false;
    this.#run = null;
    // What has come meanwhile is taken up; the client hears of this first.
    client.flush();
    if (!this.#taking) client.inbox.arrived();
  }

  /** `run`: what has failed; null: COMMIT. */
  #fail(error: PgError | null, run: Run | null): void {
    const names = run === null ? undefined : this.#connection?.preparedStatements;
    names?.forget(run!.leaf.preparedAs);
    if (this.#begin !== null) names?.forget(this.#begin);
    const reason = error ?? pgError('protocolViolation', 'a server ended a statement without a word');
    this.#failed(reason, run && this.#failedRun(run));
  }

  #failed(reason: PgError, run: FailedRun | null): void {
    this.#session.services.meters.statementFailed(reason);
    const told = () => this.#rest();
    this.#host.failed(reason, run).then(told, told);
  }

  #failedRun({ prepared, frame }: Pick<Run, 'prepared' | 'frame'>): FailedRun | null {
    const { statements } = this.#session.services;
    const statement = prepared === null ? statements.parse(textOf(frame))[0] : prepared.statement;
    return statement ? failedRunOf(statement, prepared ?? undefined) : null;
  }

  #takesTransaction(statement: ParsedStatement, before: readonly Buffer[], messages: number): boolean {
    const { client } = this.#session;
    const end = this.#block.blockEnd(statement);
    const tag = end === null ? this.#block.begin(statement) : null;
    if (end === null && tag === null) return false;
    client.inbox.drop(messages);
    this.#start();
    for (const bytes of before) client.write(bytes);
    if (end !== null) this.#block.commit(end);
    else this.#commandDone(tag!);
    return true;
  }

  #committed(tag: Buffer | null, error: PgError | null): void {
    const isImplicit = this.#spread.busy;
    if (isImplicit) this.#spread.sayAnswer();
    if (error !== null || (tag === null && !isImplicit)) {
      this.#fail(error, null);
      return;
    }
    this.#session.services.meters.stages.commit.observe(performance.now() - this.#startMs);
    if (isImplicit) this.#ready();
    else this.#commandDone(tag!);
  }

  #commandDone(tag: Buffer): void {
    this.#session.services.meters.statementDone('TransactionStmt', performance.now() - this.#startMs);
    this.#say(tag);
  }
}

const noMessages: Buffer[] = [];
const noConstants: readonly string[] = [];
const noBegin: readonly string[] = [];

/** It can stand before another statement in one text. */
function isPlainBegin(text: string): boolean {
  return /^[A-Za-z ,]+$/.test(text);
}
