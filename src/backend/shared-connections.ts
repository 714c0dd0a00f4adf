import { limits } from '../core/limits.ts';
import type { ServerConnection } from './server-connection.ts';
import { SharedConnection, type SharedCounts } from './shared-connection.ts';

/** Where connections come from, and go to when nobody uses them. */
export interface Lender {
  readonly waiting: number;
  tryAcquire(settingsKey: string): ServerConnection | null;
  release(connection: ServerConnection): void;
}

/**
 * The connections of one pool that sessions share at the moment. A connection is shared from when somebody needs one until all have been answered; in
 * between it is the pool's like all others.
 */
export class SharedConnections {
  readonly #lender: Lender;
  /** Since the start. */
  readonly counts: SharedCounts = { answered: 0, moved: 0 };
  /** By key of settings; the first ones are filled first. */
  readonly #joinable = new Map<string, SharedConnection[]>();
  readonly #inUse = new Set<SharedConnection>();
  #timer: NodeJS.Timeout | null = null;
  #isWatching = false;

  constructor(lender: Lender) {
    this.#lender = lender;
  }

  /** One to join now, with these settings; null: none is there, or it is full. */
  get(settingsKey: string): SharedConnection | null {
    // Whoever waits for a connection of their own would wait for ever for one that is joined again and again.
    const maxStatements = this.#lender.waiting === 0 ? Number.POSITIVE_INFINITY : limits.maxSharedWhileWaiting;
    for (const shared of this.#joinable.get(settingsKey) ?? none) {
      if (shared.canBeJoined && shared.statements < maxStatements) return shared;
    }
    const connection = this.#lender.tryAcquire(settingsKey);
    if (connection === null) return null;
    if (connection.appliedSettings !== settingsKey || !connection.idle || connection.cancelling !== null) {
      this.#lender.release(connection);
      return null;
    }
    return this.#share(connection, settingsKey);
  }

  #share(connection: ServerConnection, settingsKey: string): SharedConnection {
    const shared = new SharedConnection(connection, {
      counts: this.counts,
      onClosed: (closed) => this.#remove(closed, settingsKey),
      onEnded: (ended) => {
        this.#inUse.delete(ended);
        this.#lender.release(connection);
      },
    });
    const others = this.#joinable.get(settingsKey);
    if (others === undefined) this.#joinable.set(settingsKey, [shared]);
    else others.push(shared);
    this.#inUse.add(shared);
    this.#watch();
    return shared;
  }

  #remove(closed: SharedConnection, settingsKey: string): void {
    const joinable = this.#joinable.get(settingsKey);
    if (joinable === undefined) return;
    if (joinable.length === 1) this.#joinable.delete(settingsKey);
    else joinable.splice(joinable.indexOf(closed), 1);
  }

  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    if (this.#timer !== null) this.#timer.refresh();
    else this.#timer = setTimeout(this.#onTimer, limits.sharedLookMs).unref();
  }

  /** Timers go before sockets: answers that have come in the meantime are read first. */
  readonly #onTimer = () => {
    setImmediate(this.#look);
  };

  readonly #look = () => {
    this.#isWatching = false;
    if (this.#inUse.size === 0) return;
    this.#watch();
    const nowMs = performance.now();
    for (const shared of [...this.#inUse]) shared.look(nowMs);
  };
}

const none: readonly SharedConnection[] = [];
