import type { PlanContext } from '../../plan/context.ts';
import { callsUsers } from '../function-calls.ts';
import { answersFor } from '../plan-answers.ts';
import type { SessionState } from '../session-state.ts';
import { isOrdinary, mayLeaveState, type RouteQuestion } from './route.ts';
import type { RouteScope } from './route-book.ts';
import { type Scatter, scatterOf } from './scatter.ts';

/**
 * A statement as a scatter, from the plan that the other way makes of it outside of a transaction block. Null: it is none, whatever its values
 * are. Undefined: not known yet, since the planner has a question or refuses these. `counted`: the statement as the client wrote it.
 */
export function buildScatter(
  session: SessionState,
  { statement, parameters, inBlock }: Pick<RouteQuestion, 'statement' | 'parameters' | 'inBlock'>,
  { snapshot, searchPath, role }: RouteScope,
  counted = statement,
): Scatter | null | undefined {
  if (statement.kind !== 'SelectStmt' || !isOrdinary(statement) || mayLeaveState(statement, snapshot)) return null;
  if (callsUsers(statement, snapshot)) return null;
  if (inBlock) return undefined;
  const { plans, times } = session.services;
  const context: PlanContext = {
    ...{ snapshot, searchPath, temporaryNames: new Set<string>(), parameters, inTransaction: false, force: null },
    ...{ staging: 'tables', answers: answersFor(session, searchPath) },
    ...{ staged: new Map(), late: [], steps: null },
  };
  try {
    const plan = plans.plan(statement, context);
    const counter = times.counter(counted, plan, role);
    return scatterOf(statement, plan, { version: snapshot.version, parameterCount: parameters.length, counter });
  } catch {
    // What the planner refuses of these values it refuses again on the way that reports errors.
    return undefined;
  }
}
