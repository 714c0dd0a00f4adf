import type { FrameSink, ServerConnection } from '../backend/server-connection.ts';
import { assert } from '../core/assert.ts';
import type { PgError } from '../core/errors.ts';
import { snapshotsLate } from '../transaction/fence.ts';
import { decodeDataRow } from '../wire/backend.ts';
import {
  encodeBind,
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeParse,
  flushMessage,
  syncMessage,
} from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import { type FrameHandler, serverError } from './exchange.ts';
import { showSame } from './same-moment.ts';
import { preparedAs, type RenderedSql } from './statement-bytes.ts';

/** A fragment that will run on one server with a snapshot taken beforehand. */
export interface Fragment {
  readonly rendered: RenderedSql;
  readonly resultFormats: readonly number[];
  readonly describe: boolean;
  /** It will come again: it stays prepared on the connection, under this version of the catalog. */
  readonly preparedFor?: number;
  /** And the server is to keep its plan, whatever the values. */
  readonly keepsPlan?: boolean;
}

interface Binding {
  readonly kind: 'binding';
  /** BindCompletes that are still to come. */
  left: number;
  /** Rows of answers that nobody looks at, before those of the moments. */
  rowsToSkip: number;
  /** Snapshots as the server tells them, the first and the last one. */
  readonly moments: string[];
  readonly attempt: number;
  readonly done: (error: PgError | null) => void;
}

/** Statements whose answers nobody needs: before anything is bound, and when all fragments have run. */
export interface Around {
  readonly before: RenderedSql;
  readonly after: RenderedSql;
}

type State =
  | Binding
  | { readonly kind: 'bound' }
  | {
      readonly kind: 'running';
      readonly handler: FrameHandler;
      /** Answers to assignments that are still to come. */
      ahead: number;
      readonly done: (error: PgError | null) => void;
    }
  | { readonly kind: 'failed'; readonly error: PgError }
  | { readonly kind: 'ended' };

/**
 * One exchange in two halves: first every fragment is parsed and bound, which fixes its snapshot (at BindComplete, tried); later each
 * is executed. Between the halves nothing else may use the connection.
 */
export class OpenedExchange implements FrameSink {
  readonly connection: ServerConnection;
  readonly #fragments: readonly Fragment[];
  readonly #portals: readonly string[];
  #state: State = { kind: 'bound' };
  #next = 0;
  /** The one Sync that ends the exchange: a second one would be answered within whatever follows it. */
  #syncSent = false;
  #onReady: (() => void)[] = [];
  #isReady = false;
  #lastName = '';
  /** Told when something fails, so that nothing counts as prepared that may not be. */
  readonly #onFailed: (() => void)[] = [];

  /** It executes as soon as it is bound, in the same packet; what comes before anybody asks for it is kept. */
  readonly #runsAtOnce: boolean;
  #early: { readonly type: number; readonly frame: Buffer }[] = [];
  #earlyBytes = 0;
  #paused = false;

  readonly #around: Around | null;
  /** What the server is told before the next fragment runs. */
  #assignments: RenderedSql[] = [];

  /** `mayRunAtOnce`: nobody minds when it is cancelled later, and asked for again. */
  constructor(
    connection: ServerConnection,
    fragments: readonly Fragment[],
    mayRunAtOnce = false,
    around: Around | null = null,
  ) {
    this.connection = connection;
    this.#around = around;
    this.#fragments = fragments;
    this.#runsAtOnce = mayRunAtOnce && fragments.length === 1;
    this.#portals = fragments.map(() => connection.newPortalName());
  }

  get fragmentCount(): number {
    return this.#fragments.length;
  }

  /** Takes the snapshots. Rejects with the server's error; the exchange has ended then. */
  open(): Promise<void> {
    const parts: Buffer[] = [];
    const keepsPlans = this.#fragments.some(({ keepsPlan }) => keepsPlan === true);
    if (keepsPlans) parts.push(...this.#keepPlans());
    if (this.#around !== null) parts.push(...encodeUnnamed(this.#around.before));
    parts.push(...this.#bindings());
    // The server says BindComplete at the Flush, before it executes.
    if (this.#runsAtOnce) parts.push(...this.#execution(0));
    return new Promise((resolve, reject) => {
      const before = (keepsPlans ? 1 : 0) + (this.#around === null ? 0 : 1);
      this.#state = {
        ...{ kind: 'binding', left: this.#bindCount + before, rowsToSkip: before, moments: [], attempt: 1 },
        done: (error) => (error === null ? resolve() : this.#ended().then(() => reject(error))),
      };
      this.connection.submit(Buffer.concat(parts), this);
    });
  }

  /** Between two looks at the moment, if there are several: they are to show the same. */
  #bindings(): readonly Buffer[] {
    const look = this.#fragments.length > 1 ? encodeUnnamed(moment) : [];
    const binds = this.#fragments.flatMap((fragment, index) => [
      ...this.#parse(fragment),
      encodeBind({
        portal: this.#portals[index]!,
        statement: this.#lastName,
        parameterFormats: fragment.rendered.values.map((value) => value.format),
        parameters: fragment.rendered.values.map((value) => value.bytes),
        resultFormats: fragment.resultFormats,
      }),
    ]);
    return [...look, ...binds, ...look, flushMessage];
  }

  get #bindCount(): number {
    return this.#fragments.length + (this.#fragments.length > 1 ? 2 : 0);
  }

  /** A commit that was on its way has come in between: once more, while no other is sent. */
  #bindAgain({ attempt, done }: Binding): void {
    if (attempt === maxBindings) {
      this.#fail(snapshotsLate());
      return;
    }
    this.#state = { kind: 'binding', left: this.#bindCount, rowsToSkip: 0, moments: [], attempt: attempt + 1, done };
    const closes = this.#portals.map((portal) => encodeClose('P', portal));
    this.connection.write(Buffer.concat([...closes, ...this.#bindings()]));
  }

  #takeBinding(state: Binding, type: number, frame: Buffer): void {
    if (type === message.bindComplete) state.left -= 1;
    else if (type !== message.dataRow) return;
    else if (state.rowsToSkip > 0) state.rowsToSkip -= 1;
    else state.moments.push(String(decodeDataRow(frame)[0]));
    const [first, last] = state.moments;
    if (state.left > 0 || (this.#fragments.length > 1 && last === undefined)) return;
    if (first !== undefined && last !== undefined && !showSame(first, last)) {
      this.#bindAgain(state);
      return;
    }
    this.#state = { kind: 'bound' };
    state.done(null);
  }

  /**
   * Planning over all leaves of a table takes longer than a small statement over them: until the end of the transaction (of the exchange,
   * outside a block) the server takes the plan that it has. Its answer comes before that of the first fragment, and nobody looks at it.
   */
  #keepPlans(): readonly Buffer[] {
    const { name, before, failed } = preparedAs(this.connection, 0, keptPlans);
    this.#onFailed.push(failed);
    const bind = { portal: '', statement: name, parameterFormats: [], parameters: [], resultFormats: [] };
    return [...before, encodeBind(bind), encodeExecute('', 0)];
  }

  /** What makes the fragment's statement known to the server, as `#lastName`. */
  #parse({ rendered, preparedFor }: Fragment): readonly Buffer[] {
    if (preparedFor !== undefined) {
      const { name, before, failed } = preparedAs(this.connection, preparedFor, rendered);
      this.#lastName = name;
      this.#onFailed.push(failed);
      return before;
    }
    this.#lastName = '';
    const oids = rendered.values.map((value) => value.typeOid);
    return [encodeParse('', rendered.sql, oids)];
  }

  /** Executes the next fragment; the last one ends the exchange. */
  run(handler: FrameHandler): Promise<void> {
    const index = this.#next;
    this.#next += 1;
    const fragment = this.#fragments[index];
    assert(fragment !== undefined, 'a fragment more than was opened');
    if (this.#state.kind === 'failed') return Promise.reject(this.#state.error);
    const last = index === this.#fragments.length - 1;
    this.opened();
    const assignments = this.#assignments.splice(0);
    return new Promise((resolve, reject) => {
      this.#state = {
        kind: 'running',
        handler,
        ahead: assignments.length,
        done: (error) => {
          if (error !== null) void this.#ended().then(() => reject(error));
          else if (last) void this.#ended().then(resolve);
          else resolve();
        },
      };
      if (!this.#runsAtOnce) {
        this.connection.write(Buffer.concat([...assignments.flatMap(encodeUnnamed), ...this.#execution(index)]));
        return;
      }
      const early = this.#early;
      this.#early = [];
      this.#earlyBytes = 0;
      for (const { type, frame } of early) this.onFrame(type, frame);
    });
  }

  /** All fragments have run, or are running. */
  get hasEnded(): boolean {
    return this.#next === this.#fragments.length;
  }

  /** A statement whose answer nobody needs, to be run before the next fragment. */
  assign(statement: RenderedSql): void {
    this.#assignments.push(statement);
  }

  /** The snapshots are taken: what the servers send is taken, too. */
  opened(): void {
    if (this.#paused) this.connection.resume();
    this.#paused = false;
  }

  #execution(index: number): Buffer[] {
    const portal = this.#portals[index]!;
    const last = index === this.#fragments.length - 1;
    const describe = this.#fragments[index]!.describe ? [encodeDescribe('P', portal)] : [];
    this.#syncSent = last;
    // In a transaction block a portal would live on to its end, and hold its snapshot.
    const after = last && this.#around !== null ? encodeUnnamed(this.#around.after) : [];
    return [
      ...describe,
      encodeExecute(portal, 0),
      encodeClose('P', portal),
      ...after,
      last ? syncMessage : flushMessage,
    ];
  }

  /** Ends the exchange early: what has not run will not. */
  abandon(): Promise<void> {
    if (this.#state.kind === 'bound') this.#state = { kind: 'ended' };
    this.#early = [];
    this.opened();
    if (this.#isReady) return Promise.resolve();
    this.#sync();
    return this.#ended();
  }

  /** The opening took too long: what still hangs is cancelled, and the exchange ended. */
  async cancelOpening(): Promise<void> {
    const runs = this.#runsAtOnce && !this.#isReady;
    if (this.#state.kind === 'binding' || runs) await this.connection.cancel().catch(() => {});
    await this.abandon();
  }

  onFrame(type: number, frame: Buffer): void {
    const state = this.#state;
    if (state.kind === 'bound' && this.#runsAtOnce && this.#next === 0) {
      this.#keep(type, frame);
      return;
    }
    if (type === message.errorResponse) {
      this.#fail(serverError(frame, this.connection));
      return;
    }
    if (state.kind === 'binding') {
      this.#takeBinding(state, type, frame);
    } else if (state.kind === 'running') {
      if (state.ahead > 0) {
        if (type === message.commandComplete) state.ahead -= 1;
        return;
      }
      state.handler(type, frame);
      if (type === message.commandComplete || type === message.emptyQueryResponse) {
        this.#state = { kind: 'bound' };
        state.done(null);
      }
    }
  }

  onRow(chunk: Buffer, start: number, end: number): boolean {
    const state = this.#state;
    if (state.kind !== 'running' || state.ahead > 0 || state.handler.row === undefined) return false;
    state.handler.row(chunk, start, end);
    return true;
  }

  #keep(type: number, frame: Buffer): void {
    this.#early.push({ type, frame });
    this.#earlyBytes += frame.length;
    if (this.#paused || this.#earlyBytes < maxEarlyBytes) return;
    this.#paused = true;
    this.connection.pause();
  }

  onReady(): void {
    this.#isReady = true;
    for (const tell of this.#onReady.splice(0)) tell();
  }

  onLost(error: PgError): void {
    this.#syncSent = true;
    this.#fail(error);
    this.onReady();
  }

  /** After an error the server skips to the Sync. */
  #fail(error: PgError): void {
    const state = this.#state;
    this.#state = { kind: 'failed', error };
    for (const tell of this.#onFailed.splice(0)) tell();
    this.#sync();
    if (state.kind === 'binding' || state.kind === 'running') state.done(error);
  }

  #sync(): void {
    if (this.#syncSent) return;
    this.#syncSent = true;
    this.connection.write(syncMessage);
  }

  #ended(): Promise<void> {
    if (this.#isReady) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onReady.push(resolve);
    });
  }
}

/** Commits of other routers may come in between again and again. */
const maxBindings = 20;

const moment: RenderedSql = { sql: 'SELECT pg_catalog.pg_current_snapshot()', values: [] };

/** In an exchange that goes on. */
function encodeUnnamed({ sql, values }: RenderedSql): readonly Buffer[] {
  const bind = {
    ...{ portal: '', statement: '', resultFormats: [] },
    parameterFormats: values.map(({ format }) => format),
    parameters: values.map(({ bytes }) => bytes),
  };
  return [encodeParse('', sql, []), encodeBind(bind), encodeExecute('', 0)];
}

/** What a server may send before the others have their snapshots. */
const maxEarlyBytes = 262_144;

const keptPlans: RenderedSql = {
  sql: "SELECT pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)",
  values: [],
};
