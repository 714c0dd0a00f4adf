import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { Log } from '../core/log.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { DistributedTransaction } from '../transaction/distributed-transaction.ts';
import type { BoundValue } from './statement-bytes.ts';

/** What one statement runs with. */
export interface ExecutionContext {
  readonly transaction: DistributedTransaction;
  readonly snapshot: CatalogSnapshot;
  readonly parameters: readonly BoundValue[];
  /** The client prepared the statement, so it will come again: it stays prepared on the servers too. */
  readonly prepared: boolean;
  /** The coordinator on a connection of the router's own, outside the session's transaction. */
  control(): SqlRunner;
  /** Rows for the catalog's virtual relations (`live shard sizes`), as text. */
  virtualRows(relation: string): Promise<readonly (readonly (string | null)[])[]>;
  readonly log: Log;
  readonly signal: AbortSignal;
}
