import { keepsPlans } from '../../execute/statement-bytes.ts';
import { isPlain } from '../../plan/plain-plan.ts';
import type { Plan } from '../../plan/plan.ts';
import { planStatement } from '../../plan/planner.ts';
import { callsUsers } from '../function-calls.ts';
import type { SessionState } from '../session-state.ts';
import type { ParsedStatement } from '../statement-cache.ts';
import type { TimeCounter } from '../statement-times.ts';
import {
  isOrdinary,
  mayLeaveState,
  planContextOf,
  type RouteCircumstances,
  type RouteQuestion,
  withOwnNumbers,
} from './route.ts';

/** A change that runs as it stands on the same nodes, whatever its values are. */
export interface Spread {
  readonly statement: ParsedStatement;
  readonly sites: readonly number[];
  /** With the client's own parameter numbers. */
  readonly sql: string;
  /** What the statement is called by among those that a connection has prepared. */
  readonly preparedAs: string;
  readonly rung: Plan['rung'];
  readonly counter: TimeCounter;
}

/** Null: the statement is none of that kind. */
export function buildSpread(question: RouteQuestion, around: RouteCircumstances): Spread | null {
  const { statement, parameters } = question;
  if (!isOrdinary(statement) || mayLeaveState(statement, around.snapshot) || callsUsers(statement, around.snapshot))
    return null;
  const plan = planStatement(statement, planContextOf(question, around));
  const { final } = plan;
  if (!isSteady(plan) || final.kind !== 'change shards' || final.sites.length < 2) return null;
  const sql = withOwnNumbers(final.sql, [], parameters.length);
  if (sql === null) return null;
  return {
    ...{ statement, sites: final.sites, sql, preparedAs: `${around.snapshot.version} ${sql}` },
    ...{ rung: plan.rung, counter: around.times.counter(statement, plan, around.role) },
  };
}

/** It returns no rows, brings none, and no other values would make another plan. */
function isSteady(plan: Plan): boolean {
  return (
    isPlain(plan) && plan.valueIndependent && !plan.returnsRows && plan.constants.length + plan.motions.length === 0
  );
}

/** What goes before the statement on each node. Planning over all leaves of a table takes longer than a small change. */
export function beginningOf({ transaction }: SessionState): readonly string[] {
  return keepsPlans(transaction) ? ['BEGIN', 'SET LOCAL plan_cache_mode = force_generic_plan'] : ['BEGIN'];
}
