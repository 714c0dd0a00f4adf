import type { NodeId } from './snapshot.ts';

/** A server of the herd. */
export type Site = 'coordinator' | NodeId;
