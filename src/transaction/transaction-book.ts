import type { CommitOutcome } from './commit-protocol.ts';
import { decisionKey, type TransactionName } from './gid.ts';
import type { RecoveryScope } from './recovery-protocol.ts';

/** A router's names for transactions, and what has become of them. */
export class TransactionBook {
  #sequence = 0;
  /** By decision key: begun, and its session has not ended it. */
  #inFlight = new Set<string>();
  /** By decision key: ended, and some node could not be told, or may prepare yet. */
  #unsettled = new Set<string>();
  /** Decisions that have served. */
  #served: string[] = [];

  begin(clusterId: string, epoch: number): TransactionName {
    this.#sequence += 1;
    const name = { clusterId, epoch, sequence: this.#sequence };
    this.#inFlight.add(decisionKey(name));
    return name;
  }

  /** A session has done what it could. */
  ended(name: TransactionName, outcome: CommitOutcome): void {
    const key = decisionKey(name);
    this.#inFlight.delete(key);
    if (outcome.unsettled.length > 0) this.#unsettled.add(key);
  }

  settled(keys: readonly string[]): void {
    for (const key of keys) this.#unsettled.delete(key);
  }

  get hasUnsettled(): boolean {
    return this.#unsettled.size > 0;
  }

  /** Their decision rows may be forgotten. */
  served(keys: readonly string[]): void {
    this.#served.push(...keys);
  }

  get hasServed(): boolean {
    return this.#served.length > 0;
  }

  /** Rows to be forgotten. Who fails to puts them back. */
  takeServed(): string[] {
    return this.#served.splice(0);
  }

  /** Of this very moment: a sweep asks servers afterwards, and what begins meanwhile is none of its business. */
  scope(epoch: number): Pick<RecoveryScope, 'unsettled' | 'isOwn' | 'leftOver'> {
    const inFlight = new Set(this.#inFlight);
    const lastSequence = this.#sequence;
    return {
      unsettled: [...this.#unsettled],
      isOwn: (name) => name.epoch === epoch,
      leftOver: (name) => name.sequence <= lastSequence && !inFlight.has(decisionKey(name)),
    };
  }
}
