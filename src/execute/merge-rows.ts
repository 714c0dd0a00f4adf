import type { NodeId } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { pgError, unsupported } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { settled } from '../core/settled.ts';
import { sameFamily } from '../plan/key-value.ts';
import type { ChangeStep, MotionColumn, SqlTemplate } from '../plan/plan.ts';
import { backend as message } from '../wire/message-types.ts';
import { checkStatement } from './change-rows.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { watchedExchange } from './instruments.ts';
import { tooManyToShip } from './motion.ts';
import { renderTemplate, type TemplateValues, withOwnRows } from './render-template.ts';
import { createRowRouter } from './route-rows.ts';
import { forEachBatch } from './row-batches.ts';
import { addTags, RowWindow, runOnAll } from './scatter.ts';
import { shippedRows, type TypedColumn, travellingRows, typedColumns, typesOf } from './shipped-rows.ts';
import { joinAll } from './sources.ts';
import { encodeRendered } from './statement-bytes.ts';
import { splitTuple, tupleOf, tupleValues } from './text-tuples.ts';

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
  if (step.keySources !== null && step.keys.length > 0) {
    const names = step.keys.map((_, i) => `pgherd_k${i}`);
    checkKeys(step, await typesOf(coordinator, step.keySources, names, values));
  }
  const yielded = (index: number) => `pgherd_x${index}`;
  const columns = await typedColumns(coordinator, step.rows, step.columns, yielded, values);
  const leading = placingColumns(step);
  const query = travellingRows(step.rows, leading, columns, yielded, values);
  const computed = watchedExchange(context, 'rows', coordinator, {
    rendered: query,
    bytes: encodeRendered(query, [1], false),
  });
  const sourceRows: SourceRow[] = [];
  let bytes = 0;
  await forEachBatch(computed, batchBytes, async (rows) => {
    for (const row of rows) {
      bytes += row.length;
      if (bytes > limits.maxShippedBytes) throw tooManyToShip();
      const [placing, shipped] = splitTuple(row, leading.length);
      sourceRows.push({ placing, shipped });
    }
  });
  const work = { step, values, context, columns };
  const matches = step.probe === null ? null : await findMatches(step.probe, sourceRows, work);
  const byNode = await placeRows(sourceRows, matches, work);
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

interface SourceRow {
  /** What says where it goes. */
  readonly placing: Buffer;
  readonly shipped: Buffer;
}

interface Work {
  readonly step: MergeRows;
  readonly values: TemplateValues;
  readonly context: ExecutionContext;
  readonly columns: readonly TypedColumn[];
}

/** The first columns of each source row. */
export function placingColumns({ keys, probe }: MergeRows): MotionColumn[] {
  const text = { typeOid: 25, typeName: 'text', collation: null, viaText: true };
  return [
    ...keys.map((key, i): MotionColumn => ({ ...key, name: `pgherd_k${i}` })),
    ...(probe === null ? [] : [{ name: 'pgherd_i', ...text }]),
  ];
}

/** By source row, the nodes on which it has a match. */
async function findMatches(
  probe: SqlTemplate,
  rows: readonly SourceRow[],
  { step, values, context, columns }: Work,
): Promise<ReadonlyMap<number, readonly NodeId[]>> {
  const numbered = rows.map(({ shipped }, number) => withNumber(shipped, number));
  const own = withOwnRows(values, (first) => shippedRows(numbered, [numberColumn], columns, step.alias, first));
  const rendered = renderTemplate(probe, own);
  const encoded = encodeRendered(rendered, [0], false);
  const connections = await joinAll(step.sites, context);
  const found = new Map<number, NodeId[]>();
  await settled(
    connections.map((connection, i) =>
      watchedExchange(context, 'probe', connection, { rendered, bytes: encoded }).run((type, frame) => {
        if (type !== message.dataRow) return;
        const number = Number(tupleValues(frame.subarray(5))[0]);
        const nodes = found.get(number) ?? [];
        if (!nodes.includes(step.sites[i]!)) found.set(number, [...nodes, step.sites[i]!]);
      }),
    ),
  );
  return found;
}

export const numberColumn: MotionColumn = {
  ...{ name: 'pgherd_n', typeOid: 23, typeName: 'integer', collation: null, viaText: false },
};

function withNumber(tuple: Buffer, number: number): Buffer {
  const value = Buffer.alloc(4);
  value.writeInt32BE(number);
  return tupleOf([value, ...tupleValues(tuple)]);
}

/** The rows that each node merges. */
async function placeRows(
  rows: readonly SourceRow[],
  matches: ReadonlyMap<number, readonly NodeId[]> | null,
  { step, context }: Work,
): Promise<Map<NodeId, Buffer[]>> {
  const byNode = new Map<NodeId, Buffer[]>();
  const goesEverywhere = step.keys.length === 0 && matches === null;
  if (goesEverywhere || step.bySource) for (const node of step.sites) byNode.set(node, []);
  const belongsTo = createPlacement(step, context);
  for (const [number, { placing, shipped }] of rows.entries()) {
    const matched = matches?.get(number);
    const isLeft = matches !== null && !matched && tupleValues(placing).at(-1)?.toString() !== 'true';
    if (isLeft) continue;
    for (const node of matched ?? (await belongsTo(placing, number))) {
      const share = byNode.get(node);
      if (share) share.push(shipped);
      else byNode.set(node, [shipped]);
    }
  }
  return byNode;
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

/** Where a source row goes that has no match. One that no shard takes is refused by whichever node is asked to insert it. */
function createPlacement(
  step: MergeRows,
  context: ExecutionContext,
): (placing: Buffer, number: number) => Promise<readonly NodeId[]> {
  if (step.keys.length === 0) {
    // Without a key rows are spread at random.
    return async (_, number) => (step.probe === null ? step.sites : [step.sites[number % step.sites.length]!]);
  }
  const router = createRowRouter(step.table, step.keys, context);
  return async (placing) => {
    try {
      return [await router.nodeOf(placing)];
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
