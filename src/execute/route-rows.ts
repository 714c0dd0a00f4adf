import { askShard, compileRouter, type KeyValue } from '../catalog/route.ts';
import type { DistributedTable, NodeId } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import type { MotionColumn } from '../plan/plan.ts';
import type { ExecutionContext } from './context.ts';
import { tupleValues } from './text-tuples.ts';

/** Says which node each row of a table belongs to. Rows are tuples whose columns are `columns`. */
export interface RowRouter {
  nodeOf(tuple: Buffer): Promise<NodeId> | NodeId;
}

export function createRowRouter(
  table: DistributedTable,
  columns: readonly MotionColumn[],
  context: ExecutionContext,
): RowRouter {
  const { distribution } = table;
  assert(distribution.kind === 'distributed', 'only rows of distributed tables are routed');
  const { keys, group } = distribution;
  const places = keys.map((key) => columns.findIndex((column) => column.name === key.name));
  const route = compileRouter(table);
  const nodes = group.shards.map((shard) => shard.nodeId);
  const toNode = (index: number | 'none', values: readonly KeyValue[]) => {
    if (index === 'none') throw noShard(table, values);
    return nodes[index]!;
  };
  return {
    nodeOf(tuple) {
      const fields = tupleValues(tuple);
      const values = places.map((place): KeyValue => {
        const bytes = place < 0 ? null : (fields[place] ?? null);
        return bytes === null ? null : { format: columns[place]!.viaText ? 0 : 1, bytes };
      });
      const index = route(values);
      if (index !== 'ask') return toNode(index, values);
      return askShard(context.control(), table, values).then((asked) => toNode(asked, values));
    },
  };
}

/** Rows by the node they belong to. */
export async function groupByNode(
  table: DistributedTable,
  columns: readonly MotionColumn[],
  rows: readonly Buffer[],
  context: ExecutionContext,
): Promise<Map<NodeId, Buffer[]>> {
  const router = createRowRouter(table, columns, context);
  const byNode = new Map<NodeId, Buffer[]>();
  for (const row of rows) {
    const found = router.nodeOf(row);
    const node = typeof found === 'number' ? found : await found;
    const group = byNode.get(node);
    if (group) group.push(row);
    else byNode.set(node, [row]);
  }
  return byNode;
}

/** The words PostgreSQL has for a row that no partition takes; a NULL that its column refuses is the older complaint. */
export function noShard(table: DistributedTable, values: readonly KeyValue[] = []): Error {
  const { keys } = table.distribution as Extract<DistributedTable['distribution'], { kind: 'distributed' }>;
  const missing = keys.find((key, i) => values[i] === null && isNotNull(table, key.name));
  if (missing !== undefined) {
    return pgError(
      'notNullViolation',
      `null value in column "${missing.name}" of relation "${table.name}" violates not-null constraint`,
      { schema: table.schema, table: table.name, column: missing.name },
    );
  }
  return pgError('checkViolation', `no partition of relation "${table.name}" found for row`, {
    schema: table.schema,
    table: table.name,
    hint: 'No shard covers the value of the distribution column.',
  });
}

function isNotNull(table: DistributedTable, column: string): boolean {
  return table.columns.some(({ name, notNull }) => name === column && notNull);
}
