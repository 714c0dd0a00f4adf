import type { ClientOutput } from '../execute/client-output.ts';
import { DescribedOnce, lookUpKeys, runRouted } from '../execute/keys/index-lookup.ts';
import type { IndexRoute } from '../plan/index-route.ts';
import type { Plan } from '../plan/plan.ts';
import { planStatement } from '../plan/planner.ts';
import { executionContext, planContext, plannedParameters, type StatementRun } from './run-statement.ts';
import type { SessionState } from './session-state.ts';

/**
 * By a global unique index to the one shard that has the row. Null: it is answered; otherwise what the plan for all nodes is to answer
 * into. In READ COMMITTED the row may move between the two reads: then it is not found, and all nodes are asked under one snapshot.
 */
export async function followIndex(
  session: SessionState,
  run: StatementRun,
  route: IndexRoute,
  output: ClientOutput,
): Promise<ClientOutput | null> {
  const context = executionContext(session, run.parameters);
  const keys = await lookUpKeys(route, context);
  if (keys === null) return output;
  const parameters = await plannedParameters(session, run.parameters);
  const pinned = { table: route.table.oid, keys };
  const plan: Plan = planStatement(run.statement, { ...(await planContext(session, parameters)), pinned });
  if (plan.rung !== 'single shard') return output;
  const once = new DescribedOnce(output);
  return (await runRouted(plan, keys.length > 0, context, once)) ? null : once;
}
