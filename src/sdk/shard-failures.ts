import { PgError } from '../core/errors.ts';

export interface ShardFailure {
  readonly shard: number;
  readonly error: PgError;
}

/** What each shard came to. */
export type ShardOutcome =
  | { readonly shard: number; readonly status: 'fulfilled'; readonly rowCount: number }
  | { readonly shard: number; readonly status: 'rejected'; readonly error: PgError };

/** Some shards of a distributed query failed. Its code is that of the first. */
export class ShardsFailedError extends PgError {
  readonly failures: readonly ShardFailure[];
  constructor(failures: readonly ShardFailure[], shardCount: number) {
    const [first] = failures;
    const shards = failures.map(({ shard }) => shard).join(', ');
    super({
      ...first!.error.fields,
      message: `${failures.length} of ${shardCount} shards failed (${shards}): ${first!.error.message}`,
    });
    this.failures = failures;
  }
}

export function asPgError(error: unknown): PgError {
  if (error instanceof PgError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new PgError({ severity: 'ERROR', code: 'XX000', message });
}
