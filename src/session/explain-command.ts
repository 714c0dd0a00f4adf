import type { ExplainStmt, Node } from '@pgsql/types';
import type { ClientOutput } from '../execute/client-output.ts';
import { explainPlan } from '../plan/explain.ts';
import { encodeDataRow, encodeRowDescription } from '../wire/backend.ts';
import { planFor, runLocal, type StatementRun } from './run-statement.ts';
import type { SessionState } from './session-state.ts';

const textOid = 25;

/** EXPLAIN of what the coordinator alone answers is PostgreSQL's; of all else it is the list of steps. */
export async function runExplain(session: SessionState, run: StatementRun, output: ClientOutput): Promise<void> {
  const { query } = (run.statement.node as { ExplainStmt: ExplainStmt }).ExplainStmt;
  const kind = Object.keys(query as Node)[0] ?? '';
  const inner = { ...run.statement, node: query as Node, kind };
  const plan = await planFor(session, { ...run, statement: inner });
  if (plan.rung === 'local') return runLocal(session, run, output);
  const lines = explainPlan(plan);
  sayRows(
    output,
    [{ name: 'QUERY PLAN', typeOid: textOid }],
    lines.map((line) => [line]),
  );
  output.complete('EXPLAIN');
}

/** Rows of the router's own making, as text. */
export function sayRows(
  output: ClientOutput,
  columns: readonly { readonly name: string; readonly typeOid: number }[],
  rows: readonly (readonly (string | null)[])[],
): void {
  if (output.wantsDescription) {
    output.describe(
      encodeRowDescription(
        columns.map(({ name, typeOid }) => ({
          name,
          tableOid: 0,
          columnNumber: 0,
          typeOid,
          typeSize: -1,
          typeModifier: -1,
          format: 0,
        })),
      ),
    );
  }
  for (const row of rows) output.row(encodeDataRow(row.map((value) => (value === null ? null : Buffer.from(value)))));
}
