import type { FrameSink, ServerConnection } from '../backend/server-connection.ts';
import { assert } from '../core/assert.ts';
import type { PgError } from '../core/errors.ts';
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

type State =
  | { readonly kind: 'binding'; left: number; readonly done: (error: PgError | null) => void }
  | { readonly kind: 'bound' }
  | { readonly kind: 'running'; readonly handler: FrameHandler; readonly done: (error: PgError | null) => void }
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

  /** `mayRunAtOnce`: nobody minds when it is cancelled later, and asked for again. */
  constructor(connection: ServerConnection, fragments: readonly Fragment[], mayRunAtOnce = false) {
    this.connection = connection;
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
    for (const [index, fragment] of this.#fragments.entries()) {
      const { rendered, resultFormats } = fragment;
      parts.push(
        ...this.#parse(fragment),
        encodeBind({
          portal: this.#portals[index]!,
          statement: this.#lastName,
          parameterFormats: rendered.values.map((value) => value.format),
          parameters: rendered.values.map((value) => value.bytes),
          resultFormats,
        }),
      );
    }
    parts.push(flushMessage);
    // The server says BindComplete at the Flush, before it executes.
    if (this.#runsAtOnce) parts.push(...this.#execution(0));
    return new Promise((resolve, reject) => {
      this.#state = {
        kind: 'binding',
        left: this.#fragments.length + (keepsPlans ? 1 : 0),
        done: (error) => (error === null ? resolve() : this.#ended().then(() => reject(error))),
      };
      this.connection.submit(Buffer.concat(parts), this);
    });
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
    return new Promise((resolve, reject) => {
      this.#state = {
        kind: 'running',
        handler,
        done: (error) => {
          if (error !== null) void this.#ended().then(() => reject(error));
          else if (last) void this.#ended().then(resolve);
          else resolve();
        },
      };
      if (!this.#runsAtOnce) {
        this.connection.write(Buffer.concat(this.#execution(index)));
        return;
      }
      const early = this.#early;
      this.#early = [];
      for (const { type, frame } of early) this.onFrame(type, frame);
    });
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
    return [...describe, encodeExecute(portal, 0), encodeClose('P', portal), last ? syncMessage : flushMessage];
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
    if (state.kind === 'bound' && this.#runsAtOnce) {
      this.#keep(type, frame);
      return;
    }
    if (type === message.errorResponse) {
      this.#fail(serverError(frame, this.connection));
      return;
    }
    if (state.kind === 'binding') {
      if (type === message.bindComplete) {
        state.left -= 1;
        if (state.left === 0) {
          this.#state = { kind: 'bound' };
          state.done(null);
        }
      }
    } else if (state.kind === 'running') {
      state.handler(type, frame);
      if (type === message.commandComplete || type === message.emptyQueryResponse) {
        this.#state = { kind: 'bound' };
        state.done(null);
      }
    }
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

/** What a server may send before the others have their snapshots. */
const maxEarlyBytes = 262_144;

const keptPlans: RenderedSql = {
  sql: "SELECT pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)",
  values: [],
};
