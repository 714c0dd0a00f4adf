import type { NodeId } from '../catalog/snapshot.ts';
import type { CommitOutcome } from './commit-protocol.ts';
import { decisionKey, type TransactionName } from './gid.ts';
import type { RecoveryScope } from './recovery-protocol.ts';

export interface EndedDecisions {
  readonly served: readonly string[];
  readonly told: ReadonlyMap<string, readonly NodeId[]>;
}

/** A router's names for transactions, and what has become of them. */
export class TransactionBook {
  #sequence = 0;
  /** By decision key: begun, and its session has not ended it. */
  #inFlight = new Set<string>();
  /** By decision key: ended, and some node could not be told, or may prepare yet. */
  #unsettled = new Set<string>();
  /** Of which the decision row has served. */
  #served: string[] = [];
  /** Nodes told of commits that others still owe: the row is to name those only. */
  #told = new Map<string, readonly NodeId[]>();

  begin(clusterId: string, epoch: number): TransactionName {
    this.#sequence += 1;
    const name = { clusterId, epoch, sequence: this.#sequence };
    this.#inFlight.add(decisionKey(name));
    return name;
  }

  /** How many names were given. */
  get begun(): number {
    return this.#sequence;
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

  told(key: string, nodes: readonly NodeId[]): void {
    if (nodes.length > 0) this.#told.set(key, [...(this.#told.get(key) ?? []), ...nodes]);
  }

  get hasEnded(): boolean {
    return this.#served.length > 0 || this.#told.size > 0;
  }

  /** What the rows of decisions are to hear. Who fails to tell them puts it back. */
  takeEnded(): EndedDecisions {
    const ended = { served: this.#served, told: this.#told };
    this.#served = [];
    this.#told = new Map();
    return ended;
  }

  putBack({ served, told }: EndedDecisions): void {
    this.served(served);
    for (const [key, nodes] of told) this.told(key, nodes);
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
