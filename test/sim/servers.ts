import type { Side } from '../../src/transaction/fence-turns.ts';
import type { World } from './world.ts';

/** What a simulated PostgreSQL server keeps. `visible`: transactions whose effects a new snapshot shows, as bits. */
export class SimServer {
  up = true;
  visible = 0;
  /** Prepared transactions: gid → bit. Durable. */
  readonly prepared = new Map<string, number>();
  readonly sessions = new Set<SimConnection>();
  /** Decisions, epochs and the herd's lock are the coordinator's alone. */
  readonly decisions = new Map<string, { readonly decision: 'commit' | 'abort'; readonly nodes: readonly number[] }>();
  readonly epochs = new Map<number, { fenced: boolean; holder: SimConnection | null }>();
  readonly herdLock = new HerdLockQueue();

  crash(): void {
    this.up = false;
    for (const session of [...this.sessions]) session.lose();
  }

  sessionEnded(session: SimConnection): void {
    this.sessions.delete(session);
    for (const epoch of this.epochs.values()) if (epoch.holder === session) epoch.holder = null;
    this.herdLock.leave(session);
  }
}

/** The advisory lock of the fence, first come, first served: commits share it, an opening has it alone. */
export class HerdLockQueue {
  #holders = new Map<SimConnection, Side>();
  #waiting: { readonly session: SimConnection; readonly side: Side; readonly granted: () => void }[] = [];

  ask(session: SimConnection, side: Side, granted: () => void): void {
    this.#waiting.push({ session, side, granted });
    this.#admit();
  }

  holds(session: SimConnection): boolean {
    return this.#holders.has(session);
  }

  leave(session: SimConnection): void {
    this.#holders.delete(session);
    this.#waiting = this.#waiting.filter((waiter) => waiter.session !== session);
    this.#admit();
  }

  #admit(): void {
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      const sides = [...this.#holders.values()];
      if (sides.length > 0 && (next.side === 'opening' || sides.includes('opening'))) return;
      this.#waiting.shift();
      this.#holders.set(next.session, next.side);
      next.granted();
    }
  }
}

/**
 * A connection to a server. When it is cut its user learns of it at once, the server some time later: what was on its way may still be
 * carried out meanwhile, and nobody hears of it.
 */
export class SimConnection {
  readonly server: SimServer;
  readonly #world: World;
  /** The bit of the open transaction's writes, 0 when there is none. */
  transaction = 0;
  #open: boolean;
  #atServer: boolean;
  #arrivedMs = 0;
  #waiting = new Set<() => void>();
  onLost: (() => void) | null = null;

  constructor(world: World, server: SimServer) {
    this.#world = world;
    this.server = server;
    this.#open = server.up;
    this.#atServer = server.up;
    if (server.up) server.sessions.add(this);
  }

  get open(): boolean {
    return this.#open;
  }

  /** `carryOut` runs at the server, `answered` when its answer is back; `lost` when nobody will know. */
  send<T>(carryOut: () => T, answered: (result: T) => void, lost: () => void): void {
    this.sendAsking<T>((reply) => reply(carryOut()), answered, lost);
  }

  /** As `send`, for what the server answers later. */
  sendAsking<T>(carryOut: (reply: (result: T) => void) => void, answered: (result: T) => void, lost: () => void): void {
    const world = this.#world;
    if (!this.#open) {
      world.after(1, lost);
      return;
    }
    this.#waiting.add(lost);
    // Bytes of a connection arrive in order.
    this.#arrivedMs = Math.max(this.#arrivedMs, world.nowMs + world.delayMs());
    world.after(this.#arrivedMs - world.nowMs, () => {
      if (!this.#atServer) return;
      carryOut((result) => {
        world.after(world.delayMs(), () => {
          if (this.#waiting.delete(lost)) answered(result);
        });
      });
    });
  }

  /** Cut in the middle, or left by a client that died. */
  cut(): void {
    if (!this.#open) return;
    this.#loseClient();
    this.#world.after(this.#world.random.int(0, 250), () => this.#endAtServer());
  }

  /** The server ended it. */
  lose(): void {
    this.#endAtServer();
    this.#world.after(this.#world.delayMs(), () => this.#loseClient());
  }

  #loseClient(): void {
    if (!this.#open) return;
    this.#open = false;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const lost of waiting) lost();
    this.onLost?.();
  }

  #endAtServer(): void {
    if (!this.#atServer) return;
    this.#atServer = false;
    this.transaction = 0;
    this.server.sessionEnded(this);
  }
}
