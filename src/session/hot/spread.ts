import { keepsPlans } from '../../execute/statement-bytes.ts';
import type { Plan } from '../../plan/plan.ts';
import { planStatement } from '../../plan/planner.ts';
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
  if (!isOrdinary(statement) || mayLeaveState(statement, around.snapshot) || callsUsers(statement, around)) return null;
  const plan = planStatement(statement, planContextOf(question, around));
  const { final } = plan;
  if (!isPlain(plan) || final.kind !== 'change shards' || final.sites.length < 2) return null;
  const sql = withOwnNumbers(final.sql, [], parameters.length);
  if (sql === null) return null;
  return {
    ...{ statement, sites: final.sites, sql, preparedAs: `${around.snapshot.version} ${sql}` },
    ...{ rung: plan.rung, counter: around.times.counter(statement, plan, around.role) },
  };
}

/** What users' functions do comes back to the router while the coordinator is at work. */
function callsUsers({ traits }: ParsedStatement, { snapshot }: RouteCircumstances): boolean {
  return traits.calls.some((name) => snapshot.functions.get(name)?.some(({ userDefined }) => userDefined));
}

/** Whatever a plan may have besides asks for more than sending it. */
function isPlain(plan: Plan): boolean {
  if (!plan.valueIndependent || plan.returnsRows || plan.constants.length + plan.motions.length > 0) return false;
  return Object.keys(plan).every((member) => plainMembers.has(member));
}

const plainMembers: ReadonlySet<string> = new Set<keyof Plan>([
  ...(['rung', 'reason', 'constants', 'motions', 'final', 'writes', 'returnsRows'] as const),
  ...(['valueIndependent', 'touches'] as const),
]);

/** What goes before the statement on each node. Planning over all leaves of a table takes longer than a small change. */
export function beginningOf({ transaction }: SessionState): readonly string[] {
  return keepsPlans(transaction) ? ['BEGIN', 'SET LOCAL plan_cache_mode = force_generic_plan'] : ['BEGIN'];
}
