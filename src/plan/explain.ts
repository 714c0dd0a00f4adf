// Placeholder until the planner lands.
import type { Plan } from './plan.ts';
export function explainPlan(plan: Plan): string[] { return [plan.rung]; }
