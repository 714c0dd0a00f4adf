import type pg from 'pg';
import { runStatement } from '../../test/oracle/outcome.ts';

/** What EXPLAIN ANALYZE of the herd says of a query. */
export interface Explained {
  readonly rung: string;
  readonly reason: string;
  /** Rows that steps brought to the coordinator. */
  readonly rowsToCoordinator: number;
  /** Rows that steps brought from nodes to nodes; what is broadcast is counted once. */
  readonly rowsToNodes: number;
}

export async function explainQuery(herd: pg.Client, text: string): Promise<Explained> {
  const outcome = await runStatement(herd, { text: `EXPLAIN (ANALYZE, FORMAT JSON) ${text}` });
  if (outcome.kind === 'error')
    return { rung: 'refused', reason: outcome.message, rowsToCoordinator: 0, rowsToNodes: 0 };
  const [plan] = JSON.parse(outcome.rows.map(([line]) => line).join('\n')) as [JsonObject];
  const moved = { rowsToCoordinator: 0, rowsToNodes: 0 };
  addMotions(plan, moved);
  return { rung: String(plan['Rung'] ?? 'local'), reason: String(plan['Reason'] ?? ''), ...moved };
}

type JsonObject = { readonly [key: string]: unknown };

function addMotions(value: unknown, moved: { rowsToCoordinator: number; rowsToNodes: number }): void {
  if (Array.isArray(value)) for (const each of value) addMotions(each, moved);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const step = value as JsonObject;
  if (typeof step['Motion'] === 'string' && String(step['Step']).startsWith('Motion')) {
    const tasks = (step['Tasks'] ?? []) as readonly JsonObject[];
    const rows = tasks.reduce((sum, task) => sum + Number(task['Rows'] ?? 0), 0);
    if (step['Motion'].startsWith('Gather')) moved.rowsToCoordinator += rows;
    else moved.rowsToNodes += rows;
  }
  for (const child of Object.values(step)) addMotions(child, moved);
}
