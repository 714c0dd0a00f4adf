import type { NodeEntry } from '../catalog/snapshot.ts';
import type { SqlRunner } from '../core/runner.ts';
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
