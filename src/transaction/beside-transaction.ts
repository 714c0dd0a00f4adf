import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import {
  DistributedTransaction,
  type IsolationLevel,
  type JoinPurpose,
  type TransactionHost,
} from './distributed-transaction.ts';

export interface ReadingBeside {
  readonly outer: DistributedTransaction;
  /** Tables of the coordinator are read, too. */
  readonly readsCoordinator: boolean;
  /** Commands that set what holds while it reads. */
  readonly settings: readonly string[];
}

/**
 * The reads of one statement of a READ COMMITTED transaction, on connections of its own: all steps read the moment in which the
 * statement began, which that transaction, with a snapshot for each of its servers' statements, can't offer. It has changed nothing of what
 * is read, so nobody can tell.
 *
 * Unless tables of the coordinator are read, what the coordinator computes is computed in the outer transaction: its now() is meant.
 */
export class BesideTransaction extends DistributedTransaction {
  readonly #outer: DistributedTransaction;
  readonly #readsCoordinator: boolean;

  private constructor(host: TransactionHost, { outer, readsCoordinator }: ReadingBeside) {
    super(host, outer.settings);
    this.#outer = outer;
    this.#readsCoordinator = readsCoordinator;
  }

  /** With all its snapshots taken. Who opens it ends it. */
  static async open(host: TransactionHost, reading: ReadingBeside, signal: AbortSignal): Promise<BesideTransaction> {
    const { outer, readsCoordinator, settings } = reading;
    const sites = () => host.sites().filter((site) => readsCoordinator || site !== 'coordinator');
    const beside = new BesideTransaction({ ...host, sites }, reading);
    outer.beside = beside;
    try {
      await beside.openSnapshotBlock(signal, settings);
      return beside;
    } catch (error) {
      await beside.end('ROLLBACK');
      throw error;
    }
  }

  override get isolation(): IsolationLevel {
    return 'repeatable read';
  }

  override join(site: Site, signal: AbortSignal, purpose: JoinPurpose = 'data'): Promise<ServerConnection> {
    return this.#isOuters(site) ? this.#outer.join(site, signal, purpose) : super.join(site, signal, purpose);
  }

  override markWritten(site: Site): void {
    if (this.#isOuters(site)) this.#outer.markWritten(site);
    else super.markWritten(site);
  }

  #isOuters(site: Site): boolean {
    return site === 'coordinator' && !this.#readsCoordinator;
  }

  override newTableName(): string {
    return this.#outer.newTableName();
  }

  override get outlivesStatement(): boolean {
    return this.#isOuters('coordinator') && this.#outer.outlivesStatement;
  }

  /** COMMIT, or ROLLBACK after an error. */
  async end(verb: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    this.#outer.beside = null;
    await (verb === 'COMMIT' ? this.commit() : this.rollback());
  }
}
