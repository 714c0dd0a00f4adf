import { unsupported } from '../core/errors.ts';
import type { Plan } from '../plan/plan.ts';
import type { SessionState } from './session-state.ts';
import { settingValueOf } from './setting-value.ts';

const setting = 'citus.enable_repartition_joins';

/** Whoever switches it off wants to hear of statements that move rows of several distributed tables to join them. */
export async function checkRepartitioning(session: SessionState, plan: Plan): Promise<void> {
  if (!joinsByMoving(plan) || (await isAllowed(session))) return;
  throw unsupported(
    'PH045',
    'the statement joins rows of several distributed tables that are not where they are needed',
  );
}

/** Several distributed tables, and not answered by each node for itself. */
function joinsByMoving({ rung, touches = [], motions }: Plan): boolean {
  if (new Set(touches.map((touched) => touched.relation)).size < 2) return false;
  if (rung === 'two phases') return motions.some((motion) => motion.kind === 'gather' && motion.toNodes === true);
  return motions.some((motion) => motion.kind === (rung === 'staged' ? 'stage' : 'gather'));
}

async function isAllowed(session: SessionState): Promise<boolean> {
  const value = await settingValueOf(session, setting);
  return value === undefined ? session.services.repartitionJoins : value === 'on';
}
