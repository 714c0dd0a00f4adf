import type { CatalogSnapshot } from '../../catalog/snapshot.ts';
import { assert } from '../../core/assert.ts';
import type { PlanContext } from '../../plan/context.ts';
import { planStatement } from '../../plan/planner.ts';
import { noAnswers } from '../../plan/questions.ts';
import { parseStatements } from '../../sql/parse.ts';
import { collectDataRows } from '../captured-rows.ts';
import type { ExecutionContext } from '../context.ts';
import { runPlan } from '../run-plan.ts';

/**
 * Runs a statement of the router's own, in the session's transaction and with its rights, wherever its tables are: planned like one of
 * the client's. All names in it are qualified. Gives its rows as text.
 */
export async function runInternal(sql: string, context: ExecutionContext): Promise<(string | null)[][]> {
  const [statement] = parseStatements(sql);
  assert(statement, 'one statement');
  const plan = planStatement(statement, internalContext(context.snapshot));
  const output = collectDataRows();
  if (plan.writes) context.transaction.ensureBlock();
  await runPlan(plan, { ...context, parameters: [], prepared: false }, output);
  return output.values;
}

function internalContext(snapshot: CatalogSnapshot): PlanContext {
  return {
    ...{ snapshot, searchPath: ['pg_catalog'], temporaryNames: new Set<string>() },
    ...{ parameters: null, inTransaction: true, force: null },
    ...{ staging: 'none', answers: noAnswers, staged: new Map(), late: [], steps: null },
  };
}
