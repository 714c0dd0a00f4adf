/** What `import … from 'pgherd/sdk'` gives. */
export { PgError } from '../core/errors.ts';
export type { Combination, GroupPlan } from './combine-groups.ts';
export type { Row } from './decode-value.ts';
export type { Merge } from './distributed-query.ts';
export type { DistributedTransaction } from './distributed-transaction.ts';
export type { Parameter } from './encode-parameter.ts';
export type { SortKey } from './ordered-merge.ts';
export { jumpHash, md5Modulo, type Placement } from './placement.ts';
export { type KeyTypeName, postgresHash } from './postgres-placement.ts';
export type { RecoveryOutcome } from './recover.ts';
export { type ShardFailure, type ShardOutcome, ShardsFailedError } from './shard-failures.ts';
export type { ShardKey } from './shard-key.ts';
export type { IsolationLevel, QueryOutcome, ShardTransaction } from './shard-part.ts';
export { parseShardUrl, type ShardServer } from './shard-server.ts';
export { carriedShard, newShardedId, shardOfId } from './sharded-id.ts';
export {
  type DistributedQueryOptions,
  type QueryOptions,
  type ShardConnection,
  type ShardingOptions,
  ShardingStrategy,
  type TransactionOptions,
} from './sharding-strategy.ts';
export { type KeyRange, listPlacement, rangePlacement } from './table-placement.ts';
export type { CommitStep } from './two-phase-commit.ts';
