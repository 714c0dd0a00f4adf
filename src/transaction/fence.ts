import type { Site } from '../catalog/site.ts';
import type { NodeId } from '../catalog/snapshot.ts';
import { unreachable } from '../core/assert.ts';
import { type Clock, pause } from '../core/clock.ts';
import { type PgError, pgError } from '../core/errors.ts';
import { type FenceLock, FenceTurns } from './fence-turns.ts';
import { type Confidence, type OpeningEffect, openingProtocol } from './opening-protocol.ts';
import { UnsettledCommits } from './unsettled-commits.ts';

/** The lock that the routers of a herd share, on one connection to the coordinator. */
export interface HerdLock extends FenceLock {
  /** Still held, and no decided transaction has left one of these sites untold. Asked when all snapshots are taken. */
  confirm(sites: readonly Site[]): Promise<boolean>;
}

export interface Opened<T> {
  readonly confidence: Confidence;
  readonly value: T;
}

/** How long an opening waits for commits to end. Deferred triggers may make them wait for this very session. Milliseconds. */
const maxFenceWaitMs = 10_000;
const doubtPauseMs = 100;

/**
 * Keeps the openings of snapshots and the commits of distributed transactions apart (DESIGN 7): within this process by turns, and
 * between the routers of a herd by a lock on the coordinator that a turn holds. A node that could not be told of a decided commit shows half of it when it comes
 * back: openings over it wait until recovery has told it.
 */
export class Fence {
  readonly #clock: Clock;
  readonly #turns = new FenceTurns();
  #herdLock: HerdLock | null = null;
  readonly #unsettled = new UnsettledCommits();
  #suspended = false;
  #settledWaiters = new Set<() => void>();
  /** Called when an opening waits for what is unsettled. */
  onNeeded: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Snapshots are being taken now: nothing that another transaction could build on may be sent. */
  get opening(): boolean {
    return this.#turns.side === 'opening';
  }

  /** Before the decision of a commit. Null: go on at once. */
  enterCommit(): Promise<void> | null {
    let admit = () => {};
    const admitted = new Promise<void>((resolve) => {
      admit = resolve;
    });
    return this.#turns.enter('commit', admit) ? null : admitted;
  }

  /** The same without a promise. True: go on at once; otherwise `admitted` is called later. */
  startCommit(admitted: () => void): boolean {
    return this.#turns.enter('commit', admitted);
  }

  leaveCommit(): void {
    this.#turns.leave();
  }

  /** Snapshots are taken on several servers by `take`, which must not wait for other transactions. */
  async open<T>(sites: readonly Site[], signal: AbortSignal, take: () => Promise<T>): Promise<Opened<T>> {
    const taken: T[] = [];
    let inside = false;
    const perform = async (effect: OpeningEffect): Promise<boolean> => {
      switch (effect.kind) {
        case 'await settled':
          await this.#untilSettled(sites, signal);
          return true;
        case 'enter fence':
          await this.#enterOpening(signal);
          inside = true;
          return true;
        case 'look again':
          return !this.#hidesFrom(sites);
        case 'take snapshots':
          taken.push(await take());
          return true;
        case 'confirm':
          return this.#herdLock === null ? !this.#suspended : this.#herdLock.confirm(sites);
        case 'leave fence':
          this.#turns.leave();
          inside = false;
          return true;
        default:
          return unreachable(effect);
      }
    };
    try {
      const protocol = openingProtocol();
      let step = protocol.next(true);
      while (!step.done) step = protocol.next(await perform(step.value));
      if (step.value === 'doubtful') await this.#pauseForRecovery();
      return { confidence: step.value, value: taken[0]! };
    } finally {
      if (inside) this.#turns.leave();
    }
  }

  /**
   * As `open`, where nothing has to be waited for: no commit, no other router. False: something has. What is taken inside is to be ended by
   * `leaveNow`, once.
   */
  enterNow(sites: readonly Site[]): boolean {
    if (this.#herdLock !== null || this.#hidesFrom(sites)) return false;
    return this.#turns.enterNow('opening');
  }

  /** The snapshots are taken, or given up. */
  leaveNow(): Confidence {
    const confidence = this.#suspended ? 'doubtful' : 'sure';
    this.#turns.leave();
    return confidence;
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

  /** Several routers are kept apart. */
  get shared(): boolean {
    return this.#herdLock !== null;
  }

  /** Nobody knows at the moment whether other routers are about: openings wait. */
  suspend(): void {
    this.#suspended = true;
  }

  resume(): void {
    this.#suspended = false;
    this.#wake();
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
    this.#unsettled.add(key, nodes);
  }

  markTold(key: string, nodes: readonly NodeId[]): void {
    this.#unsettled.told(key, nodes);
    this.#wake();
  }

  markSettled(keys: readonly string[]): void {
    this.#unsettled.settled(keys);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#settledWaiters) wake();
  }

  #hidesFrom(sites: readonly Site[]): boolean {
    return this.#suspended || this.#unsettled.hideFrom(sites);
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

  async #enterOpening(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw pgError('queryCanceled', 'canceling statement due to user request');
    let admitted = false;
    let wake = () => {};
    const entered = () => {
      admitted = true;
      wake();
    };
    // Most often nobody is in the way.
    if (this.#turns.enter('opening', entered)) return;
    await this.#patiently(signal, (ended) => {
      wake = ended;
      if (admitted) ended();
      return () => this.#turns.giveUp('opening', entered);
    });
  }

  /** Some router left a commit half told, or the lock was lost. */
  async #pauseForRecovery(): Promise<void> {
    this.onNeeded?.();
    await pause(this.#clock, doubtPauseMs);
  }

  /** Waits for `wait` to call back, at most `maxFenceWaitMs`, and no longer than the statement lasts. */
  #patiently(signal: AbortSignal, wait: (ended: () => void) => () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let stop = () => {};
      let over = false;
      const end = (error: Error | null) => {
        if (over) return;
        over = true;
        stopClock();
        signal.removeEventListener('abort', abort);
        stop();
        if (error === null) resolve();
        else reject(error);
      };
      const abort = () => end(pgError('queryCanceled', 'canceling statement due to user request'));
      const stopClock = this.#clock.after(maxFenceWaitMs, () => end(snapshotsLate()));
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      stop = wait(() => end(null));
    });
  }
}

export function snapshotsLate(): PgError {
  return pgError('lockNotAvailable', 'could not take a snapshot on all nodes in time', {
    hint: 'A lock on one of the tables, a slow node or an unfinished commit stands in the way. SET pgherd.snapshot = local reads without one.',
  });
}
