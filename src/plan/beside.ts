import type { PlanContext } from './context.ts';
import { placementOf, spreadObstacle } from './functions.ts';
import type { Model } from './model.ts';
import type { Plan } from './plan.ts';

/**
 * A plan of a READ COMMITTED transaction whose steps need one snapshot among them: they get it in a transaction of their own beside it, if
 * nobody can tell. What the transaction has written is not seen there, and now() is another. `isWhole`: the coordinator's part belongs there too.
 */
export function planBeside(
  plan: Plan,
  model: Model,
  context: PlanContext,
  { isWhole = false }: { readonly isWhole?: boolean } = {},
): Plan | { readonly reason: string } {
  if (context.staging !== 'beside' && context.staging !== 'beside, on nodes') return plan;
  const readsCoordinator = isWhole || model.relations.some(({ role }) => role !== 'distributed');
  if (readsCoordinator && context.staging === 'beside, on nodes')
    return { reason: 'the transaction has changed something on the coordinator' };
  if (readsCoordinator && usesSession(model, context)) return { reason: 'values of the transaction itself' };
  return { ...plan, beside: { readsCoordinator } };
}

/**
 * COPY of a query as a whole: its rows stand in a temporary table before they are copied, which a READ ONLY transaction can't make, and
 * one beside it can. Null: it has to do with the transaction itself.
 */
export function copyBeside(plan: Plan, model: Model, context: PlanContext): Plan | null {
  if (plan.writes || !isCopy(model) || spreadObstacle(model.blocks, context) !== null) return null;
  const beside = planBeside(plan, model, context, { isWhole: true });
  return 'rung' in beside && beside.beside !== undefined ? beside : null;
}

function isCopy({ source }: Model): boolean {
  return source.tokens()[0]?.text === 'copy';
}

/** now(), current_user and their like. */
function usesSession({ blocks }: Model, context: PlanContext): boolean {
  return blocks.some(
    ({ functions, sessionValues }) =>
      sessionValues.length > 0 || functions.some((call) => placementOf(call, context) === 'constant'),
  );
}
