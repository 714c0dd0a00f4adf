import type { Log } from '../core/log.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { CommitOutcome } from '../transaction/commit-protocol.ts';
import type { Fence } from '../transaction/fence.ts';
import { decisionKey, type TransactionName } from '../transaction/gid.ts';
import { inheritedCommits, type RecoveryHost, recover } from '../transaction/recovery.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import type { ControlPlane } from './control-plane.ts';

const recoveryIntervalMs = 10_000;
/** While something of this router's own is unsettled. */
const unsettledIntervalMs = 1_000;
const forgetIntervalMs = 1_000;

/** Names the transactions of this router, remembers which are under way, and runs recovery at start and in the background. */
export class RecoveryKeeper {
  readonly #control: ControlPlane;
  readonly #catalog: CatalogKeeper;
  readonly #fence: Fence;
  readonly #log: Log;
  #sequence = 0;
  /** By decision key: begun, and its session has not ended it. */
  #inFlight = new Set<string>();
  /** By decision key: ended, and some node could not be told, or may prepare yet. */
  #unsettled = new Set<string>();
  /** Decisions that have served. */
  #settled: string[] = [];
  #timers: NodeJS.Timeout[] = [];
  #running: Promise<void> = Promise.resolve();
  /** A sweep that has not begun yet: whoever wants one has it. */
  #next: Promise<void> | null = null;

  constructor(control: ControlPlane, catalog: CatalogKeeper, fence: Fence, log: Log) {
    this.#control = control;
    this.#catalog = catalog;
    this.#fence = fence;
    this.#log = log;
    fence.onNeeded = () => void this.#recover();
  }

  async open(): Promise<void> {
    await this.#recover();
    this.#timers.push(
      setInterval(() => void this.#recover(), recoveryIntervalMs).unref(),
      setInterval(() => void (this.#unsettled.size > 0 && this.#recover()), unsettledIntervalMs).unref(),
      setInterval(() => void this.#forgetSettled(this.#control.coordinator), forgetIntervalMs).unref(),
    );
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#running;
    await this.#forgetSettled(this.#control.coordinator);
  }

  nextTransactionName(): TransactionName {
    this.#sequence += 1;
    const name = {
      clusterId: this.#catalog.snapshot.clusterId,
      epoch: this.#catalog.epoch,
      sequence: this.#sequence,
    };
    this.#inFlight.add(decisionKey(name));
    return name;
  }

  /** A session has done what it could. */
  ended(name: TransactionName, outcome: CommitOutcome): void {
    const key = decisionKey(name);
    this.#inFlight.delete(key);
    if (outcome.unsettled.length > 0) {
      this.#unsettled.add(key);
      void this.#recover();
    } else if (outcome.kind === 'committed') this.#settled.push(key);
  }

  #recover(): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      this.#running = this.#sweep();
      return this.#running;
    });
    return this.#next;
  }

  async #sweep(): Promise<void> {
    try {
      const { settled, unreachable } = await recover(this.#host());
      for (const key of settled) this.#unsettled.delete(key);
      this.#fence.markSettled(settled);
      if (unreachable.length === 0) return;
      for (const { key, nodes } of await inheritedCommits(this.#control.coordinator)) {
        const unasked = nodes.filter((node) => unreachable.includes(node));
        if (unasked.length > 0) this.#fence.markUnsettled(key, unasked);
      }
    } catch (error) {
      this.#log.warn({ error: String(error) }, 'recovery did not finish; trying again');
    }
  }

  #host(): RecoveryHost {
    const { snapshot, epoch } = this.#catalog;
    const inFlight = new Set(this.#inFlight);
    const lastSequence = this.#sequence;
    return {
      log: this.#log,
      fence: this.#fence,
      clusterId: snapshot.clusterId,
      nodes: snapshot.nodes.map((node) => node.id),
      unsettled: [...this.#unsettled],
      isOwn: (name) => name.epoch === epoch,
      leftOver: (name) => name.sequence <= lastSequence && !inFlight.has(decisionKey(name)),
      control: () => this.#control.coordinator,
      onNode: (id, work) => this.#control.onNode(id, snapshot, work),
    };
  }

  async #forgetSettled(runner: SqlRunner): Promise<void> {
    const keys = this.#settled.splice(0);
    if (keys.length === 0) return;
    const list = keys.map((key) => `'${key}'`).join(', ');
    await runner
      .query(`DELETE FROM pgherd.transaction_decision WHERE gid IN (${list})`)
      .catch(() => this.#settled.push(...keys));
  }
}
