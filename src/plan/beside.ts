import type { PlanContext } from './context.ts';
import { placementOf } from './functions.ts';
import type { Model } from './model.ts';
import type { Plan } from './plan.ts';

/**
 * A plan of a READ COMMITTED transaction whose steps need one snapshot among them: they get it in a transaction of their own beside it, if
 * nobody can tell. What the transaction has written is not seen there, and now() is another.
 */
export function planBeside(plan: Plan, model: Model, context: PlanContext): Plan | { readonly reason: string } {
  if (context.staging !== 'beside' && context.staging !== 'beside, on nodes') return plan;
  const readsCoordinator = model.relations.some(({ role }) => role !== 'distributed');
  if (readsCoordinator && context.staging === 'beside, on nodes')
    return { reason: 'the transaction has changed something on the coordinator' };
  if (readsCoordinator && usesSession(model, context)) return { reason: 'values of the transaction itself' };
  return { ...plan, beside: { readsCoordinator } };
}

/** now(), current_user and their like. */
function usesSession({ blocks }: Model, context: PlanContext): boolean {
  return blocks.some(
    ({ functions, sessionValues }) =>
      sessionValues.length > 0 || functions.some((call) => placementOf(call, context) === 'constant'),
  );
}
