import type { Site } from '../catalog/site.ts';

/** What the workers of one router ask of each other. Plain values: they travel between processes. */
export type PeerQuestion =
  /** Read the catalog anew; answered when that is done. */
  | { readonly kind: 'catalog' }
  /** Rows that a worker tells from memory, as `RouterServices.routerRows` has them. */
  | { readonly kind: 'rows'; readonly relation: string; readonly role: string | null }
  | { readonly kind: 'resetTimes' }
  | { readonly kind: 'parties' }
  /** The servers' snapshots behind one that was exported. */
  | { readonly kind: 'snapshot'; readonly name: string }
  /** The port of the worker whose session has this backend of the coordinator. */
  | { readonly kind: 'loopPort'; readonly backend: number }
  /** pg_cancel_backend() and pg_terminate_backend() of a backend; true: it was one of the worker's. */
  | { readonly kind: 'signal'; readonly name: string; readonly site: Site; readonly processId: number }
  /** Another worker has died: settle what it left. */
  | { readonly kind: 'recover' };

export interface PeerAnswers {
  readonly catalog: null;
  readonly rows: PeerRows;
  readonly resetTimes: null;
  readonly parties: readonly PeerParty[];
  readonly snapshot: readonly (readonly [Site, string])[] | null;
  readonly loopPort: number | null;
  readonly signal: boolean;
  readonly recover: null;
}

export type PeerRows = readonly (readonly (string | null)[])[];

/** A transaction of another worker, as the search for deadlocks sees it. Moments are milliseconds of the epoch. */
export interface PeerParty {
  readonly user: string;
  readonly startedAtMs: number;
  readonly runningSinceMs: number | null;
  readonly backends: readonly { readonly site: Site; readonly processId: number }[];
}

/** The other workers that share the router's port. */
export interface Peers {
  /** Their answers; who has died or fails gives none. */
  ask<Q extends PeerQuestion>(question: Q): Promise<readonly PeerAnswers[Q['kind']][]>;
  /** A cancel request goes to the worker in this slot, which gave out its key. */
  cancel(slot: number, processId: number, secret: Buffer): void;
}

export const noPeers: Peers = { ask: async () => [], cancel() {} };
