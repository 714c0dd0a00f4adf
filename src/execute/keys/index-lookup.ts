import { collectResult } from '../../backend/collect-result.ts';
import { shardIndex } from '../../catalog/route.ts';
import { leafSchema } from '../../catalog/snapshot.ts';
import { assert } from '../../core/assert.ts';
import type { IndexRoute } from '../../plan/index-route.ts';
import type { KeyValue } from '../../plan/key-value.ts';
import type { Plan } from '../../plan/plan.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/quote.ts';
import { type ClientOutput, PassingOutput } from '../client-output.ts';
import type { ExecutionContext } from '../context.ts';
import { runPlan } from '../run-plan.ts';
import { encodeRendered } from '../statement-bytes.ts';

/** The distribution key of the row that has the values: one list, or none when there is no such row. Null: the index can't be asked. */
export async function lookUpKeys(
  { table, hidden, index, values }: IndexRoute,
  context: ExecutionContext,
): Promise<KeyValue[][] | null> {
  assert(
    hidden.distribution.kind === 'distributed' && table.distribution.kind === 'distributed',
    'an index is distributed',
  );
  const { group, keys } = hidden.distribution;
  const shard = shardIndex(group, keys, [...values]);
  if (typeof shard !== 'number') return null;
  const name = quoteQualified(leafSchema(shard, hidden.schema), hidden.name);
  const list = table.distribution.keys.map((key) => `h.${quoteIdentifier(key.name)}::text`);
  const match = index.columns.map((column, i) => {
    const { typeName } = hidden.columns.find((each) => each.name === column)!;
    return `h.${quoteIdentifier(column)} = $${i + 1}::${typeName}`;
  });
  const sql = `SELECT ${list.join(', ')} FROM ${name} AS h WHERE ${match.join(' AND ')}`;
  const bound = values.map((value) => ({ ...value, typeOid: 0 }));
  const connection = await context.transaction.join(group.shards[shard]!.nodeId, context.signal);
  const { rows } = await collectResult(connection, encodeRendered({ sql, values: bound }, [], false));
  return rows.map((row) =>
    row.map((text): KeyValue => (text === null ? null : { format: 0, bytes: Buffer.from(text) })),
  );
}

/**
 * Runs the plan for the one shard, and says whether its answer holds: the row was there, or the index knew of none. Otherwise the row has
 * moved meanwhile, or its transaction is half committed, and nothing has been answered yet.
 */
export async function runRouted(
  plan: Plan,
  isKnown: boolean,
  context: ExecutionContext,
  output: DescribedOnce,
): Promise<boolean> {
  const counted = new CountedOutput(output);
  await runPlan(plan, context, counted);
  const count = plan.returnsRows ? counted.rows : Number(/(\d+)$/.exec(counted.tag)?.[1] ?? 0);
  if (count === 0 && isKnown) return false;
  output.finish(counted.tag);
  return true;
}

/** An output that two plans may answer, one after the other. */
export class DescribedOnce extends PassingOutput {
  #described = false;

  override describe(frame: Buffer): void {
    if (!this.#described) this.output.describe(frame);
    this.#described = true;
  }

  override complete(tag: string): void {
    this.output.complete(tag);
  }

  finish(tag: string): void {
    this.output.complete(tag);
  }
}

class CountedOutput extends PassingOutput {
  rows = 0;
  tag = '';

  constructor(output: ClientOutput) {
    super(output);
  }

  override row(frame: Buffer): void {
    this.rows += 1;
    this.output.row(frame);
  }

  override complete(tag: string): void {
    this.tag = tag;
  }
}
