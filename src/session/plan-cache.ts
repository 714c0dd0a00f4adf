import type { Node } from '@pgsql/types';
import type { PlanContext } from '../plan/context.ts';
import type { Plan } from '../plan/plan.ts';
import { planStatement } from '../plan/planner.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** All that a plan depends on besides the statement and its values. */
interface Circumstances {
  readonly snapshot: PlanContext['snapshot'];
  /** The search path and the parameters' types. */
  readonly names: string;
  readonly inTransaction: boolean;
  readonly force: PlanContext['force'];
  readonly staging: PlanContext['staging'];
  readonly opensFragments: boolean;
  readonly plan: Plan;
}

/**
 * The last plan of each cached statement, if it holds for any values. Snapshots are compared by identity: one that a transaction
 * loaded for itself fits no other.
 */
export class PlanCache {
  readonly #plans = new WeakMap<Node, Circumstances>();

  plan(statement: ParsedStatement, context: PlanContext): Plan {
    if (context.temporaryNames.size > 0) return planStatement(statement, context);
    const names = [...context.searchPath, ...(context.parameters ?? []).map((each) => each.typeOid)].join('\0');
    const known = this.#plans.get(statement.node);
    if (
      known !== undefined &&
      known.snapshot === context.snapshot &&
      known.names === names &&
      known.inTransaction === context.inTransaction &&
      known.force === context.force &&
      known.staging === context.staging &&
      known.opensFragments === (context.opensFragments === true)
    ) {
      return known.plan;
    }
    const plan = planStatement(statement, context);
    if (plan.valueIndependent) {
      const { snapshot, inTransaction, force, staging, opensFragments = false } = context;
      this.#plans.set(statement.node, { snapshot, names, inTransaction, force, staging, opensFragments, plan });
    }
    return plan;
  }
}
