import type { LatencyCounts } from '../core/latency.ts';
import type { PoolState } from './observation.ts';

/** What a router has counted since its start, read at one moment. */
export interface RouterReadings {
  readonly clients: number;
  /** By stage of a statement. */
  readonly stages: Readonly<Record<string, LatencyCounts>>;
  /** By class of statement. */
  readonly statements: Readonly<Record<string, number>>;
  /** By rung of the planner. */
  readonly plans: ReadonlyMap<string, number>;
  /** By class of SQLSTATE. */
  readonly errors: ReadonlyMap<string, number>;
  readonly pools: readonly PoolState[];
  /** Statements that were in line with others on one connection: `moved` are those that were sent again on another. */
  readonly sharing: readonly { readonly server: string; readonly answered: number; readonly moved: number }[];
  readonly traffic: readonly { readonly server: string; readonly sentBytes: number; readonly receivedBytes: number }[];
}
