import type { FenceLock, Side } from '../../src/transaction/fence-turns.ts';
import { tellDecisionsAt } from './decisions.ts';
import type { RouterParts } from './router-parts.ts';
import type { SimConnection } from './servers.ts';

/** The lock that routers share, on a connection of its own to the coordinator, which is opened again when it is lost. */
export class HerdLock implements FenceLock {
  readonly #parts: () => RouterParts;
  #connection: SimConnection | null = null;
  #asked: Side | null = null;

  /** `parts`: of the router, which is there before they are complete. */
  constructor(parts: () => RouterParts) {
    this.#parts = parts;
  }

  cut(): void {
    this.#connection?.cut();
  }

  acquire(side: Side): void {
    this.#asked = side;
    const lock = this.#connection;
    if (lock === null) return;
    const { after, turns, isAlive } = this.#parts();
    lock.sendAsking<void>(
      (reply) => lock.server.herdLock.ask(lock, side, () => reply()),
      () => {
        if (!isAlive() || this.#connection !== lock || this.#asked === null) return;
        this.#asked = null;
        after(20, () => turns.closeTurn());
        turns.granted();
      },
      () => {},
    );
  }

  release(): void {
    const lock = this.#connection;
    const { book, bug, isAlive } = this.#parts();
    if (lock === null || !isAlive()) return;
    const ended = book.takeEnded();
    lock.send(
      () => {
        // Only who holds the lock forgets.
        const holds = lock.server.herdLock.holds(lock);
        if (holds) tellDecisionsAt(lock.server, ended, bug);
        lock.server.herdLock.leave(lock);
        return holds;
      },
      (forgotten) => {
        if (!forgotten) book.putBack(ended);
      },
      () => book.putBack(ended),
    );
  }

  /** Unless it is open, or the router has the herd for itself. */
  open(): void {
    const { after, connect, shares, isAlive } = this.#parts();
    if (!isAlive() || !shares || this.#connection !== null) return;
    const lock = connect(0);
    if (!lock.open) {
      after(20, () => this.open());
      return;
    }
    this.#connection = lock;
    lock.onLost = () => {
      this.#connection = null;
      after(20, () => this.open());
    };
    if (this.#asked !== null) this.acquire(this.#asked);
  }

  /** Still held, and no decision row names one of the sites. */
  confirm(sites: readonly number[], answer: (sure: boolean) => void): void {
    const lock = this.#connection;
    const { after, bug, shares } = this.#parts();
    if (!shares || bug === 'openings do not look at decision rows') {
      after(0, () => answer(true));
      return;
    }
    if (lock === null) {
      after(0, () => answer(false));
      return;
    }
    lock.send(
      () => {
        const { herdLock, decisions } = lock.server;
        const rows = [...decisions.values()].filter(({ decision }) => decision === 'commit');
        return herdLock.holds(lock) && !rows.some(({ nodes }) => nodes.some((node) => sites.includes(node)));
      },
      answer,
      () => answer(false),
    );
  }
}
