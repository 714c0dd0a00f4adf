import { type Clock, pause } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { CommitOutcome } from '../transaction/commit-protocol.ts';
import { forgetSql } from '../transaction/decision-sql.ts';
import type { Fence } from '../transaction/fence.ts';
import type { TransactionName } from '../transaction/gid.ts';
import { type RecoveryHost, recover } from '../transaction/recovery.ts';
import { TransactionBook } from '../transaction/transaction-book.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import type { ControlPlane } from './control-plane.ts';

const recoveryIntervalMs = 10_000;
/** While something of this router's own is unsettled. */
const unsettledIntervalMs = 1_000;
const forgetIntervalMs = 1_000;
const retryMs = 500;

/** Names the transactions of this router, remembers which are under way, and runs recovery at start and in the background. */
export class RecoveryKeeper {
  readonly #control: ControlPlane;
  readonly #catalog: CatalogKeeper;
  readonly #fence: Fence;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly book = new TransactionBook();
  #stops: (() => void)[] = [];
  /** A sweep has reached the coordinator. */
  #swept = false;
  #running: Promise<void> = Promise.resolve();
  /** A sweep that has not begun yet: whoever wants one has it. */
  #next: Promise<void> | null = null;

  constructor(control: ControlPlane, catalog: CatalogKeeper, fence: Fence, { log, clock }: { log: Log; clock: Clock }) {
    this.#control = control;
    this.#catalog = catalog;
    this.#fence = fence;
    this.#log = log;
    this.#clock = clock;
    fence.onNeeded = () => void this.recover();
  }

  /** Resolves when no dead router can decide any more, and what could be settled is. */
  async open(): Promise<void> {
    await this.recover();
    while (!this.#swept) {
      await pause(this.#clock, retryMs);
      await this.recover();
    }
    this.#stops.push(
      this.#clock.every(recoveryIntervalMs, () => void this.recover()),
      this.#clock.every(unsettledIntervalMs, () => void (this.book.hasUnsettled && this.recover())),
      this.#clock.every(forgetIntervalMs, () => void this.#tellDecisions()),
    );
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) stop();
    await this.#running;
    await this.#tellDecisions();
  }

  nextTransactionName(): TransactionName {
    return this.book.begin(this.#catalog.snapshot.clusterId, this.#catalog.epoch);
  }

  ended(name: TransactionName, outcome: CommitOutcome): void {
    this.book.ended(name, outcome);
    if (outcome.unsettled.length > 0) void this.recover();
  }

  recover(): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      this.#running = this.#sweep();
      return this.#running;
    });
    return this.#next;
  }

  async #sweep(): Promise<void> {
    try {
      const { settled, owed, complete } = await recover(this.#host());
      this.book.settled(settled);
      this.#fence.markSettled(settled);
      for (const { key, nodes } of owed) this.#fence.markUnsettled(key, nodes);
      this.#swept ||= complete;
    } catch (error) {
      this.#log.warn({ error: String(error) }, 'recovery did not finish; trying again');
    }
  }

  #host(): RecoveryHost {
    const { snapshot, epoch } = this.#catalog;
    return {
      log: this.#log,
      fence: this.#fence,
      served: (keys) => this.book.served(keys),
      told: (key, nodes) => this.book.told(key, nodes),
      clusterId: snapshot.clusterId,
      nodes: snapshot.nodes.map((node) => node.id),
      ...this.book.scope(epoch),
      control: () => this.#control.coordinator,
      onNode: (id, work) => this.#control.onNode(id, snapshot, work),
    };
  }

  /** Among several routers the rows are told while the fence is held: one commit's turn sees to it. */
  async #tellDecisions(): Promise<void> {
    if (!this.book.hasEnded) return;
    if (this.#fence.shared) return this.#fence.pass();
    const ended = this.book.takeEnded();
    const sql = forgetSql(ended);
    if (sql !== null) await this.#control.coordinator.query(sql).catch(() => this.book.putBack(ended));
  }
}
