import type { Plan } from './plan.ts';

/**
 * A plan that is no more than its steps. What a plan may have besides asks for more than sending them, whatever it is, and whatever comes to
 * be one day.
 */
export function isPlain(plan: Plan): boolean {
  return Object.keys(plan).every((member) => plainMembers.has(member));
}

/** `delegatedBy` says why a step goes where it goes. */
const plainMembers: ReadonlySet<string> = new Set<keyof Plan>([
  ...(['rung', 'reason', 'constants', 'motions', 'final', 'writes', 'returnsRows'] as const),
  ...(['valueIndependent', 'touches', 'delegatedBy'] as const),
]);
