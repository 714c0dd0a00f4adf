import type { TextRow } from '../backend/portal-rows.ts';
import { unreachable } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import type { QueryResult } from '../core/runner.ts';
import { GroupCombiner, type GroupPlan } from './combine-groups.ts';
import { mergeOrdered, type ResultShape, type SortKey } from './ordered-merge.ts';
import { type RunOptions, runOnShard, type Statement } from './run-statement.ts';
import { asPgError, type ShardFailure } from './shard-failures.ts';
import type { Shard } from './shard-server.ts';

/** How the rows of all shards become one result. */
export type Merge =
  /** One shard's after the other's, by number. */
  | { readonly kind: 'concatenate' }
  | { readonly kind: 'ordered'; readonly by: readonly SortKey[]; readonly limit?: number }
  | ({ readonly kind: 'combine' } & GroupPlan);

export interface GatheredRows {
  readonly shape: ResultShape;
  readonly rows: readonly TextRow[];
  readonly failures: readonly ShardFailure[];
  /** By shard. */
  readonly rowCounts: ReadonlyMap<number, number>;
}

/**
 * Runs a statement on all shards at once and merges what comes. `stopAtFailure`: the first that fails cancels the others; else every one
 * is waited for, and the result is that of those that answered.
 */
export async function gatherRows(
  shards: readonly Shard[],
  statement: Statement,
  { merge, run, stopAtFailure }: { readonly merge: Merge; readonly run: RunOptions; readonly stopAtFailure: boolean },
): Promise<GatheredRows> {
  const others = new AbortController();
  const signal = run.signal ? AbortSignal.any([run.signal, others.signal]) : others.signal;
  const failures: ShardFailure[] = [];
  const results: { shard: number; result: QueryResult }[] = [];
  const ask = async (shard: Shard) => {
    try {
      results.push({ shard: shard.id, result: await runOnShard(shard, statement, { ...run, signal }) });
    } catch (error) {
      // What was cancelled for another's sake is no failure of its own.
      if (!others.signal.aborted) failures.push({ shard: shard.id, error: asPgError(error) });
      if (stopAtFailure) others.abort();
    }
  };
  await Promise.all(shards.map(ask));
  results.sort((a, b) => a.shard - b.shard);
  const rowCounts = new Map(results.map(({ shard, result }) => [shard, result.rows.length]));
  if (failures.length > 0 && stopAtFailure) return { shape: noShape, rows: [], failures, rowCounts };
  const shape = commonShape(results.map(({ result }) => result));
  return { shape, rows: await mergeResults(shape, merge, results), failures, rowCounts };
}

const noShape: ResultShape = { columns: [], typeOids: [] };

/** All shards must say the same: a table that differs on one is no table to merge. */
export function commonShape(shapes: readonly ResultShape[]): ResultShape {
  const [first = noShape, ...others] = shapes;
  const text = ({ columns, typeOids }: ResultShape) => JSON.stringify([columns, typeOids]);
  if (others.every((each) => text(each) === text(first))) return first;
  throw pgError('datatypeMismatch', 'the shards answer with different columns or types', {
    hint: 'Their tables differ: bring them to the same shape.',
  });
}

type ShardResult = { readonly shard: number; readonly result: QueryResult };

async function mergeResults(
  shape: ResultShape,
  merge: Merge,
  results: readonly ShardResult[],
): Promise<readonly TextRow[]> {
  switch (merge.kind) {
    case 'concatenate':
      return results.flatMap(({ result }) => result.rows);
    case 'combine': {
      const groups = new GroupCombiner(shape, merge);
      for (const { result } of results) for (const row of result.rows) groups.add(row);
      return groups.rows();
    }
    case 'ordered': {
      const rows: TextRow[] = [];
      const limit = merge.limit ?? Number.POSITIVE_INFINITY;
      if (limit === 0) return rows;
      for await (const row of mergeOrdered(shape, merge.by, results.map(source))) if (rows.push(row) >= limit) break;
      return rows;
    }
    default:
      return unreachable(merge);
  }
}

function source({ shard, result }: ShardResult) {
  let at = 0;
  return { shard, next: async () => result.rows[at++] };
}
