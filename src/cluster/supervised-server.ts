import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../core/log.ts';
import { type RunningServer, type ServerSpec, type StopMode, startServer } from './server.ts';

const firstBackoffMs = 100;
const maxBackoffMs = 30_000;
/** A server that ran this long had started well: the next restart is not held back. */
const steadyMs = 60_000;

type State =
  | { readonly kind: 'running'; readonly server: RunningServer; readonly sinceMs: number }
  | { readonly kind: 'down' }
  | { readonly kind: 'stopped' };

/** A server that is started again whenever it ends without having been told to. */
export class SupervisedServer {
  readonly spec: ServerSpec;
  readonly #log: Log;
  #state: State = { kind: 'down' };
  /** Starts and stops of one server never overlap: each waits for the one before. */
  #work: Promise<void> = Promise.resolve();
  #backoffMs = firstBackoffMs;
  readonly #stopping = new AbortController();

  constructor(spec: ServerSpec, log: Log) {
    this.spec = spec;
    this.#log = log;
  }

  start(): Promise<void> {
    return this.#inTurn(() => this.#start());
  }

  /** Stops the server and starts it again on the same port. */
  restart(mode: StopMode = 'fast'): Promise<void> {
    return this.#inTurn(async () => {
      await this.#halt(mode);
      await this.#start();
    }).catch((error) => {
      void this.#revive();
      throw error;
    });
  }

  /** For good. */
  stop(mode: StopMode = 'fast'): Promise<void> {
    this.#stopping.abort();
    return this.#inTurn(async () => {
      await this.#halt(mode);
      this.#state = { kind: 'stopped' };
    });
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const turn = this.#work.then(step);
    this.#work = turn.catch(() => undefined);
    return turn;
  }

  async #start(): Promise<void> {
    if (this.#stopping.signal.aborted || this.#state.kind === 'running') return;
    const server = await startServer(this.spec);
    this.#state = { kind: 'running', server, sinceMs: Date.now() };
    void server.exited.then((reason) => this.#ended(server, reason));
  }

  async #halt(mode: StopMode): Promise<void> {
    if (this.#state.kind !== 'running') return;
    const { server } = this.#state;
    this.#state = { kind: 'down' };
    await server.stop(mode);
  }

  #ended(server: RunningServer, reason: string): void {
    // Ended by #halt, or another one runs already.
    if (this.#state.kind !== 'running' || this.#state.server !== server) return;
    if (Date.now() - this.#state.sinceMs > steadyMs) this.#backoffMs = firstBackoffMs;
    this.#state = { kind: 'down' };
    this.#log.warn({ server: this.spec.name, pid: server.pid, reason }, 'server ended unexpectedly; starting it again');
    void this.#revive();
  }

  async #revive(): Promise<void> {
    while (this.#state.kind === 'down' && !this.#stopping.signal.aborted) {
      await sleep(this.#backoffMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      this.#backoffMs = Math.min(this.#backoffMs * 2, maxBackoffMs);
      try {
        await this.start();
        this.#log.info({ server: this.spec.name }, 'server runs again');
      } catch (error) {
        this.#log.error({ server: this.spec.name, error: (error as Error).message }, 'server did not start again');
      }
    }
  }
}
