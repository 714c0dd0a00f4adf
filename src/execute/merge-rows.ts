import type { NodeId } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { pgError, unsupported } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { sameFamily } from '../plan/key-value.ts';
import type { ChangeStep, MotionColumn } from '../plan/plan.ts';
import { checkStatement } from './change-rows.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { watchedExchange } from './instruments.ts';
import { tooManyToShip } from './motion.ts';
import { renderTemplate, type TemplateValues, withOwnRows } from './render-template.ts';
import { createRowRouter } from './route-rows.ts';
import { forEachBatch } from './row-batches.ts';
import { addTags, RowWindow, runOnAll } from './scatter.ts';
import { shippedRows, travellingRows, typedColumns, typesOf } from './shipped-rows.ts';
import { joinAll } from './sources.ts';
import { encodeRendered } from './statement-bytes.ts';
import { splitTuple } from './text-tuples.ts';

type MergeRows = Extract<ChangeStep, { kind: 'merge rows' }>;

const batchBytes = 1_048_576;

/**
 * MERGE on the nodes over source rows that are sent along. Each node gets its rows in one statement, because a second source row for a
 * target row is an error.
 */
export async function mergeRows(
  step: MergeRows,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const { transaction, signal } = context;
  transaction.ensureBlock();
  const coordinator = await transaction.join('coordinator', signal);
  await checkStatement(coordinator, step.checked, values);
  if (step.keys.length > 0) {
    const names = step.keys.map((_, i) => `pgherd_k${i}`);
    checkKeys(step, await typesOf(coordinator, step.keySources, names, values));
  }
  const yielded = (index: number) => `pgherd_x${index}`;
  const columns = await typedColumns(coordinator, step.rows, step.columns, yielded, values);
  const leading = step.keys.map((key, i): MotionColumn => ({ ...key, name: `pgherd_k${i}` }));
  const query = travellingRows(step.rows, leading, columns, yielded, values);
  const computed = watchedExchange(context, 'rows', coordinator, {
    rendered: query,
    bytes: encodeRendered(query, [1], false),
  });
  const byNode = new Map<NodeId, Buffer[]>();
  if (step.keys.length === 0 || step.bySource) for (const node of step.sites) byNode.set(node, []);
  const nodesOfRow = createPlacement(step, context);
  let bytes = 0;
  await forEachBatch(computed, batchBytes, async (rows) => {
    for (const row of rows) {
      bytes += row.length;
      if (bytes > limits.maxShippedBytes) throw tooManyToShip();
      const [, rest] = splitTuple(row, step.keys.length);
      for (const node of await nodesOfRow(row)) {
        const share = byNode.get(node);
        if (share) share.push(rest);
        else byNode.set(node, [rest]);
      }
    }
  });
  const [first] = step.sites;
  assert(first !== undefined, 'a table has a node');
  if (byNode.size === 0) byNode.set(first, []);
  const nodes = [...byNode.keys()];
  const connections = await joinAll(nodes, context);
  for (const node of nodes) transaction.markWritten(node);
  const window = new RowWindow(output);
  const sources = connections.map((connection, i) => {
    const own = withOwnRows(values, (placeholder) =>
      shippedRows(byNode.get(nodes[i]!)!, [], columns, step.alias, placeholder),
    );
    const rendered = renderTemplate(step.sql, own);
    const bytes = encodeRendered(rendered, window.resultFormats, window.wantsDescription);
    return watchedExchange(context, 'final', connection, { rendered, bytes });
  });
  output.complete(addTags(await runOnAll(sources, window)));
}

/** Equal values of other types may have another hash. */
function checkKeys(
  { table, keys }: MergeRows,
  types: readonly { readonly name: string; readonly oid: number }[],
): void {
  const { distribution } = table;
  assert(distribution.kind === 'distributed', 'MERGE rows go to shards');
  for (const [i, key] of distribution.keys.entries()) {
    const type = types[i]!;
    if (sameFamily(type.oid, key.typeOid)) continue;
    throw unsupported(
      'PH002',
      `MERGE that compares ${keys[i]!.name} of ${table.name} with a value of type ${type.name}`,
    );
  }
}

/** Where a source row goes. One that no shard takes is refused by whichever node is asked to insert it. */
function createPlacement(step: MergeRows, context: ExecutionContext): (row: Buffer) => Promise<readonly NodeId[]> {
  if (step.keys.length === 0) return async () => step.sites;
  const router = createRowRouter(step.table, step.keys, context);
  return async (row) => {
    try {
      return [await router.nodeOf(row)];
    } catch (error) {
      if (isUnplaced(error)) return [step.sites[0]!];
      throw error;
    }
  };
}

const unplaced = new Set([pgError('notNullViolation', '').code, pgError('checkViolation', '').code]);

function isUnplaced(error: unknown): boolean {
  return typeof error === 'object' && error !== null && unplaced.has((error as { code?: string }).code ?? '');
}
