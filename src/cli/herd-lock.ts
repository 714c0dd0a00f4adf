import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { type Clock, pause } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { forgetSql } from '../transaction/decision-sql.ts';
import type { Fence, HerdLock } from '../transaction/fence.ts';
import type { Side } from '../transaction/fence-turns.ts';
import { fenceLockClass } from '../transaction/gid.ts';
import type { TransactionBook } from '../transaction/transaction-book.ts';
import type { ControlPlane } from './control-plane.ts';

const reconnectMs = 500;
/** A turn that other routers may wait for is not joined for longer. */
const turnMs = 20;
/** Roles and databases may have bounds of their own; waiting for the lock has none. */
const settings =
  'SET lock_timeout = 0; SET statement_timeout = 0; SET idle_session_timeout = 0; SET synchronous_commit = off';

/**
 * The fence between the routers of a herd: an advisory lock on the coordinator, held by one connection for all of this router's commits,
 * or for all of its openings. Rows of decisions that have served are deleted on this connection before it lets the lock go: never by
 * who has lost it.
 */
export class SharedHerdLock implements HerdLock {
  readonly #control: ControlPlane;
  readonly #fence: Fence;
  readonly #book: TransactionBook;
  readonly #log: Log;
  readonly #clock: Clock;
  #connection: ServerConnection | null = null;
  /** The connection that has the lock. */
  #holder: ServerConnection | null = null;
  #asked: Side | null = null;
  #closed = false;

  constructor(control: ControlPlane, fence: Fence, book: TransactionBook, { log, clock }: { log: Log; clock: Clock }) {
    this.#control = control;
    this.#fence = fence;
    this.#book = book;
    this.#log = log;
    this.#clock = clock;
  }

  async open(): Promise<void> {
    await this.#connect();
    await this.#fence.shareWith(this);
  }

  close(): void {
    this.#closed = true;
    this.#connection?.close();
  }

  acquire(side: Side): void {
    this.#asked = side;
    const connection = this.#connection;
    if (connection === null) return;
    const sql = `SELECT pg_advisory_lock${side === 'commit' ? '_shared' : ''}(${fenceLockClass}, 0)`;
    connection.query(sql).then(
      () => this.#granted(connection),
      (error) => {
        this.#log.warn({ error: String(error) }, 'the fence between routers was not granted');
        // A lost connection is opened again elsewhere, and asks again.
        if (!connection.closed) connection.close();
      },
    );
  }

  #granted(connection: ServerConnection): void {
    if (connection !== this.#connection || this.#asked === null) return;
    this.#asked = null;
    this.#holder = connection;
    this.#clock.after(turnMs, () => {
      if (this.#holder === connection) this.#fence.closeTurn();
    });
    this.#fence.granted();
  }

  release(): void {
    const holder = this.#holder;
    this.#holder = null;
    if (holder === null || holder.closed) return;
    const ended = this.#book.takeEnded();
    const sql = forgetSql(ended);
    if (sql !== null) holder.query(sql).catch(() => this.#book.putBack(ended));
    holder.query('SELECT pg_advisory_unlock_all()').catch(() => holder.close());
  }

  /** Nobody decided and told a commit since the lock was taken, and none that was decided before is untold on one of the sites. */
  async confirm(sites: readonly Site[]): Promise<boolean> {
    const holder = this.#holder;
    if (holder === null || holder.closed) return false;
    const nodes = sites.filter((site) => site !== 'coordinator').join(',');
    try {
      const { rows } = await holder.query(
        `SELECT FROM pgherd.transaction_decision WHERE decision = 'commit' AND nodes && '{${nodes}}' LIMIT 1`,
      );
      return rows.length === 0 && holder === this.#holder;
    } catch {
      return false;
    }
  }

  async #connect(): Promise<void> {
    const connection = await this.#control.dedicated();
    await connection.query(settings);
    connection.onClosed = () => {
      if (this.#connection === connection) this.#connection = null;
      void this.#connectAgain();
    };
    this.#connection = connection;
    if (this.#asked !== null) this.acquire(this.#asked);
  }

  async #connectAgain(): Promise<void> {
    while (!this.#closed && this.#connection === null) {
      try {
        await this.#connect();
        return;
      } catch (error) {
        this.#log.warn({ error: String(error) }, 'the fence between routers is not reachable; trying again');
        await pause(this.#clock, reconnectMs);
      }
    }
  }
}
