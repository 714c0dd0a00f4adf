import type pg from 'pg';
import type { Statement } from './units.ts';

/** What `pgherd.force_rung` knows. A query that can't take the rung takes a lower one, with the same answer. */
export const forcedRungs = ['gather', 'broadcast', 'redistribute'] as const;

/** null: the planner chooses. */
export type ForcedRung = (typeof forcedRungs)[number] | null;

/** Runs again and again without a trace: not so a FETCH, or what an earlier run has prepared. */
export function isRepeatable(statement: Statement, text: string): boolean {
  return statement.kind === 'query' && /^(SELECT|WITH|VALUES|\(|COPY \()/.test(text);
}

/** Silent: in a transaction that has failed it can't be done, and there whatever follows fails anyway. */
export async function forceRung(herd: pg.Client, rung: ForcedRung): Promise<void> {
  const text = rung === null ? 'RESET pgherd.force_rung' : `SET pgherd.force_rung = '${rung}'`;
  await herd.query(text).catch(() => undefined);
}
