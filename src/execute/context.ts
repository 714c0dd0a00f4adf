import type { Site } from '../catalog/site.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { Log } from '../core/log.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { DistributedTransaction } from '../transaction/distributed-transaction.ts';
import type { Fence } from '../transaction/fence.ts';
import type { AnswerSource } from './exchange.ts';
import type { Instruments } from './instruments.ts';
import type { KeyKeeper } from './keys/key-keeper.ts';
import type { LateSettings } from './late-settings.ts';
import type { BoundValue } from './statement-bytes.ts';

/** What one statement runs with. */
export interface ExecutionContext {
  readonly transaction: DistributedTransaction;
  readonly snapshot: CatalogSnapshot;
  readonly parameters: readonly BoundValue[];
  /** The client prepared the statement, so it will come again: it stays prepared on the servers too. */
  readonly prepared: boolean;
  /**
   * A server, the coordinator unless said otherwise, beside the session's transaction, with the session's role and settings: values are read
   * under them.
   */
  control(site?: Site): SqlRunner;
  /** Rows of a live relation of schema pgherd (`live_shard_size`), as text. */
  liveRows(relation: string): Promise<readonly (readonly (string | null)[])[]>;
  readonly fence: Fence;
  readonly keys: KeyKeeper;
  /** Reads over several nodes see all or nothing of each distributed commit (`pgherd.snapshot`). */
  readonly globalSnapshot: boolean;
  /** Snapshots taken for this statement beforehand: each site's fragments run on them, in the plan's order. */
  readonly opened: ReadonlyMap<Site, AnswerSource> | null;
  /** Of a plan whose fragments were opened before the steps that they wait for had run. */
  readonly late?: LateSettings;
  /** Set by EXPLAIN ANALYZE. */
  readonly instruments?: Instruments;
  readonly log: Log;
  readonly signal: AbortSignal;
}
