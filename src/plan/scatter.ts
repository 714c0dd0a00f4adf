import type { PlanContext } from './context.ts';
import type { FactsByRelation } from './facts.ts';
import type { Model } from './model.ts';
import type { Plan } from './plan.ts';
export function planScatter(_model: Model, _facts: FactsByRelation, _context: PlanContext): Plan | { reason: string } {
  return { reason: 'not yet' };
}
