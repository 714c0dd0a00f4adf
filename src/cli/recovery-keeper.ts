import type { Log } from '../core/log.ts';
import { decisionKey, type TransactionName } from '../transaction/gid.ts';
import { type RecoveryHost, recover } from '../transaction/recovery.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import type { ControlPlane } from './control-plane.ts';

const recoveryIntervalMs = 10_000;
const forgetIntervalMs = 1_000;

/** Names the transactions of this router, remembers which are under way, and runs recovery at start and in the background. */
export class RecoveryKeeper {
  readonly #control: ControlPlane;
  readonly #catalog: CatalogKeeper;
  readonly #log: Log;
  #sequence = 0;
  /** By decision key: begun and neither settled nor left to recovery. */
  #inFlight = new Set<string>();
  #settled: string[] = [];
  #timers: NodeJS.Timeout[] = [];
  #running: Promise<void> = Promise.resolve();

  constructor(control: ControlPlane, catalog: CatalogKeeper, log: Log) {
    this.#control = control;
    this.#catalog = catalog;
    this.#log = log;
  }

  async open(): Promise<void> {
    await this.#recover();
    this.#timers.push(
      setInterval(() => void this.#recover(), recoveryIntervalMs).unref(),
      setInterval(() => void this.#forgetSettled(), forgetIntervalMs).unref(),
    );
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#running;
    await this.#forgetSettled();
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

  /** Every participant has ended it: the decision has served. */
  settled(name: TransactionName): void {
    const key = decisionKey(name);
    this.#inFlight.delete(key);
    this.#settled.push(key);
  }

  unsettled(name: TransactionName): void {
    this.#inFlight.delete(decisionKey(name));
    void this.#recover();
  }

  #recover(): Promise<void> {
    const catalog = this.#catalog;
    const host: RecoveryHost = {
      log: this.#log,
      clusterId: catalog.snapshot.clusterId,
      epoch: catalog.epoch,
      control: () => this.#control.coordinator,
      nodes: () => catalog.snapshot.nodes,
      onNode: async (id) => this.#control.node(id, catalog.snapshot),
      inFlight: (name) => this.#inFlight.has(decisionKey(name)),
    };
    this.#running = this.#running
      .then(() => recover(host))
      .then(
        () => {},
        (error) => this.#log.warn({ error: String(error) }, 'recovery did not finish; trying again'),
      );
    return this.#running;
  }

  async #forgetSettled(): Promise<void> {
    const keys = this.#settled.splice(0);
    if (keys.length === 0) return;
    const list = keys.map((key) => `'${key}'`).join(', ');
    await this.#control.coordinator
      .query(`DELETE FROM pgherd.transaction_decision WHERE gid IN (${list})`)
      .catch(() => this.#settled.push(...keys));
  }
}
