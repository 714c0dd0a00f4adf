import { type CatalogSnapshot, type DistributedTable, type NodeEntry, shardSchema } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteQualified } from '../sql/quote.ts';
import { arrayText } from './array-text.ts';
import { tableOid } from './distribute.ts';
import type { HerdTransaction } from './herd.ts';
import { onNodes } from './place-table.ts';
import { attempt } from './savepoint.ts';

export interface CommandOutcome {
  readonly node: NodeEntry | null;
  readonly success: boolean;
  readonly result: string;
}

/** run_command_on_workers(): the first value of the first row, or the command tag; a node's failure is its result. */
export async function runOnNodes(tx: HerdTransaction, command: string): Promise<CommandOutcome[]> {
  return onNodes(tx, await tx.snapshot(), async (runner, node) => ({ node, ...(await outcome(runner, command)) }));
}

export async function runOnCoordinator(tx: HerdTransaction, command: string): Promise<CommandOutcome> {
  return { node: null, ...(await outcome(tx.coordinator, command)) };
}

async function outcome(runner: SqlRunner, command: string): Promise<{ success: boolean; result: string }> {
  const result = await attempt(runner, () => runner.query(command));
  if (result.kind === 'failed') return { success: false, result: `ERROR: ${result.error.message}` };
  const { columns, rows, tag } = result.value;
  return { success: true, result: columns.length > 0 ? (rows[0]?.[0] ?? '') : tag };
}

export interface ShardOutcome {
  readonly node: NodeEntry;
  readonly shardIds: readonly number[];
  readonly success: boolean;
  readonly result: string;
}

/**
 * run_command_on_shards() and its kin: the command once for each shard of a table, or for each pair of shards of co-located tables, with
 * the name of what holds the shard put in by format(). Nodes work at the same time, each in its own part of the transaction.
 */
export async function runOnShards(
  tx: HerdTransaction,
  tables: readonly string[],
  command: string,
): Promise<ShardOutcome[]> {
  const snapshot = await tx.snapshot();
  const entries: DistributedTable[] = [];
  for (const name of tables) entries.push(await distributedEntry(tx, snapshot, name));
  const [first, second] = entries;
  if (second && !sameGroup(first!, second)) {
    throw pgError('invalidParameterValue', `tables "${first!.name}" and "${second.name}" are not co-located`);
  }
  const outcomes = await onNodes(tx, snapshot, async (runner, node) => {
    const own: ShardOutcome[] = [];
    for (const place of placesOn(entries, node)) {
      const text = await tx.coordinator.query('SELECT format($1, VARIADIC $2::text[])', [
        command,
        arrayText(place.names),
      ]);
      own.push({ node, shardIds: place.shardIds, ...(await outcome(runner, text.rows[0]![0]!)) });
    }
    return own;
  });
  return outcomes.flat().sort((a, b) => a.shardIds[0]! - b.shardIds[0]!);
}

async function distributedEntry(tx: HerdTransaction, snapshot: CatalogSnapshot, name: string) {
  const entry = snapshot.relationsByOid.get(await tableOid(tx.coordinator, name))?.distributed;
  if (entry) return entry;
  throw pgError('invalidTableDefinition', `relation "${name}" is not distributed`);
}

function sameGroup(a: DistributedTable, b: DistributedTable): boolean {
  const group = ({ distribution }: DistributedTable) =>
    distribution.kind === 'distributed' ? distribution.group.id : 'reference';
  return group(a) === group(b);
}

/** The shards of the tables that are on a node: their ids, and the relations that hold them, one of each table. */
function placesOn(tables: readonly DistributedTable[], { id }: NodeEntry) {
  const [{ distribution }] = tables as [DistributedTable];
  const shards = distribution.kind === 'distributed' ? distribution.group.shards : [{ index: 0, nodeId: id }];
  return shards
    .filter((shard) => shard.nodeId === id)
    .map(({ index }) => ({
      shardIds: tables.map((table) =>
        table.distribution.kind === 'distributed' ? table.distribution.shardIds[index]! : table.distribution.shardId,
      ),
      names: tables.map((table) =>
        table.distribution.kind === 'distributed'
          ? quoteQualified(shardSchema(table, index), table.name)
          : quoteQualified(table.schema, table.name),
      ),
    }));
}

/** Whether the router reaches each server: nodes do not speak with each other. */
export async function reachable(tx: HerdTransaction): Promise<{ readonly node: NodeEntry; readonly up: boolean }[]> {
  const { nodes } = await tx.snapshot();
  return Promise.all(
    nodes.map(async (node) => ({
      node,
      up: await tx
        .beside(node.id, (runner) => runner.query('SELECT 1'))
        .then(
          () => true,
          () => false,
        ),
    })),
  );
}
