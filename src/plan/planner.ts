// Placeholder until the planner lands: everything is local.
import type { RawStatement } from '../sql/parse.ts';
import type { PlanContext } from './context.ts';
import type { Plan } from './plan.ts';
export function planStatement(_statement: RawStatement, _context: PlanContext): Plan {
  return { rung: 'local', reason: '', constants: [], motions: [], final: { kind: 'pass', site: 'coordinator', sql: [] }, writes: false, returnsRows: true, valueIndependent: true };
}
