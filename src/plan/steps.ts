import type { PlanContext } from './context.ts';
import type { Motion } from './plan.ts';
import { type ConstantPool, createConstantPool } from './rewrite.ts';

/** The steps of a plan that come before its final one. Subqueries that are planned by themselves add theirs to the same lists. */
export interface Steps {
  readonly motions: Motion[];
  readonly constants: ConstantPool;
  /** A step, or what comes after them, reads tables of the coordinator itself. */
  readsCoordinator: boolean;
}

export function createSteps(): Steps {
  return { motions: [], constants: createConstantPool(), readsCoordinator: false };
}

/** The steps that a plan's own come behind. */
export function stepsOf(context: PlanContext): Steps {
  return context.steps ?? createSteps();
}
