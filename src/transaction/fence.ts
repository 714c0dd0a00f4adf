import type { Site } from '../catalog/site.ts';
import type { NodeId } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import { type FenceLock, FenceTurns, type Side } from './fence-turns.ts';

/** The lock that the routers of a herd share, on one connection to the coordinator. */
export interface HerdLock extends FenceLock {
  /** Still held, and no decided transaction has left one of these sites untold. Asked when all snapshots are taken. */
  confirm(sites: readonly Site[]): Promise<boolean>;
}

export type Opened<T> =
  | { readonly kind: 'opened'; readonly value: T }
  /** Snapshots may fall between the servers of a commit: they are to be given up. */
  | { readonly kind: 'doubtful'; readonly value: T };

/** How long an opening waits for commits to end. Deferred triggers may make them wait for this very session. Milliseconds. */
const maxFenceWaitMs = 10_000;

/**
 * Keeps the openings of snapshots and the commits of distributed transactions apart (DESIGN 7): within this process by turns, and
 * between the routers of a herd by a lock on the coordinator that a turn holds. A node that could not be told of a decided commit shows half of it when it comes
 * back: openings over it wait until recovery has told it.
 */
export class Fence {
  readonly #turns = new FenceTurns();
  #herdLock: HerdLock | null = null;
  /** By decision key: nodes that don't show yet what was, or may have been, committed. */
  #unsettled = new Map<string, readonly NodeId[]>();
  #settledWaiters = new Set<() => void>();
  /** Called when an opening waits for what is unsettled. */
  onNeeded: (() => void) | null = null;

  /** Snapshots are being taken now: nothing that another transaction could build on may be sent. */
  get opening(): boolean {
    return this.#turns.side === 'opening';
  }

  /** Before the decision of a commit. Null: go on at once. */
  enterCommit(): Promise<void> | null {
    return this.#enter('commit');
  }

  leaveCommit(): void {
    this.#turns.leave();
  }

  /** Snapshots are taken on several servers by `take`, which must not wait for other transactions. */
  async open<T>(sites: readonly Site[], signal: AbortSignal, take: () => Promise<T>): Promise<Opened<T>> {
    await this.#untilSettled(sites, signal);
    await this.#enterOpening(signal);
    try {
      const value = await take();
      const lock = this.#herdLock;
      const confirmed = lock === null ? !this.#hidesFrom(sites) : await lock.confirm(sites);
      return { kind: confirmed ? 'opened' : 'doubtful', value };
    } finally {
      this.#turns.leave();
    }
  }

  /** Waits until openings that are under way, in this router and in all others, have ended. */
  async pass(): Promise<void> {
    await this.enterCommit();
    this.leaveCommit();
  }

  /** The lock's answer to `acquire`. */
  granted(): void {
    this.#turns.granted();
  }

  closeTurn(): void {
    this.#turns.closeTurn();
  }

  /** Resolves when no turn without the lock is left. */
  shareWith(lock: HerdLock): Promise<void> {
    return new Promise((resolve) => {
      this.#turns.useLock(lock, () => {
        this.#herdLock = lock;
        resolve();
      });
    });
  }

  markUnsettled(key: string, nodes: readonly NodeId[]): void {
    this.#unsettled.set(key, nodes);
  }

  markTold(key: string, told: readonly NodeId[]): void {
    const nodes = (this.#unsettled.get(key) ?? []).filter((node) => !told.includes(node));
    if (nodes.length > 0) this.#unsettled.set(key, nodes);
    else this.markSettled([key]);
  }

  markSettled(keys: readonly string[]): void {
    for (const key of keys) this.#unsettled.delete(key);
    for (const wake of this.#settledWaiters) wake();
  }

  #hidesFrom(sites: readonly Site[]): boolean {
    for (const nodes of this.#unsettled.values()) if (nodes.some((node) => sites.includes(node))) return true;
    return false;
  }

  async #untilSettled(sites: readonly Site[], signal: AbortSignal): Promise<void> {
    if (!this.#hidesFrom(sites)) return;
    this.onNeeded?.();
    await this.#patiently(signal, (settled) => {
      const wake = () => {
        if (!this.#hidesFrom(sites)) settled();
      };
      this.#settledWaiters.add(wake);
      return () => this.#settledWaiters.delete(wake);
    });
  }

  #enter(side: Side): Promise<void> | null {
    let admit = () => {};
    const admitted = new Promise<void>((resolve) => {
      admit = resolve;
    });
    return this.#turns.enter(side, admit) ? null : admitted;
  }

  async #enterOpening(signal: AbortSignal): Promise<void> {
    await this.#patiently(signal, (entered) => {
      if (this.#turns.enter('opening', entered)) entered();
      return () => this.#turns.giveUp('opening', entered);
    });
  }

  /** Waits for `wait` to call back, at most `maxFenceWaitMs`, and no longer than the statement lasts. */
  #patiently(signal: AbortSignal, wait: (ended: () => void) => () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let stop = () => {};
      let over = false;
      const end = (error: Error | null) => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        stop();
        if (error === null) resolve();
        else reject(error);
      };
      const abort = () => end(pgError('queryCanceled', 'canceling statement due to user request'));
      const timer = setTimeout(() => end(snapshotsLate()), maxFenceWaitMs);
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      stop = wait(() => end(null));
    });
  }
}

export function snapshotsLate(): Error {
  return pgError('lockNotAvailable', 'could not take a snapshot on all nodes in time', {
    hint: 'A lock on one of the tables, a slow node or an unfinished commit stands in the way. SET pgherd.snapshot = local reads without one.',
  });
}
