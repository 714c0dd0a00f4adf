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
  const toNode = (index: number | 'none') => {
    if (index === 'none') throw noShard(table);
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
      if (index !== 'ask') return toNode(index);
      return askShard(context.control(), table, values).then(toNode);
    },
  };
}

/** The words PostgreSQL has for a row that no partition takes. */
export function noShard(table: DistributedTable): Error {
  return pgError('checkViolation', `no partition of relation "${table.name}" found for row`, {
    schema: table.schema,
    table: table.name,
    hint: 'No shard covers the value of the distribution column.',
  });
}
