import { type Finding, judgedBy } from './findings.ts';
import type { Observation } from './observation.ts';

/** A finding that lasts: it has a beginning, and will have an end. */
export interface Alert extends Finding {
  readonly sinceMs: number;
}

export type AlertEvent = { readonly kind: 'begin' | 'end'; readonly alert: Alert; readonly atMs: number };

/** By kind and subject. */
export type ActiveAlerts = ReadonlyMap<string, Alert>;

export const noAlerts: ActiveAlerts = new Map();

/**
 * The alerts after another look, and which of them began and ended by it. One whose part of the cluster was not seen, or whose server did
 * not answer, goes on: not to see a fault is not to see that it is gone. Pure.
 */
export function advance(
  active: ActiveAlerts,
  findings: readonly Finding[],
  observation: Observation,
): { readonly active: ActiveAlerts; readonly events: readonly AlertEvent[] } {
  const { atMs } = observation;
  const next = new Map<string, Alert>();
  for (const finding of findings) {
    const key = keyOf(finding);
    next.set(key, { ...finding, sinceMs: active.get(key)?.sinceMs ?? atMs });
  }
  for (const [key, alert] of active) if (!next.has(key) && !canTell(alert, observation)) next.set(key, alert);
  const began = [...next]
    .filter(([key]) => !active.has(key))
    .map(([, alert]) => ({ kind: 'begin' as const, alert, atMs }));
  const ended = [...active]
    .filter(([key]) => !next.has(key))
    .map(([, alert]) => ({ kind: 'end' as const, alert, atMs }));
  return { active: next, events: [...began, ...ended] };
}

export function keyOf({ kind, subject }: Finding): string {
  return `${kind}/${subject}`;
}

function canTell({ kind, subject }: Alert, observation: Observation): boolean {
  const part = judgedBy[kind];
  if (part === 'cluster') return true;
  if (observation[part].kind === 'unseen') return false;
  if (part !== 'servers' || observation.servers.kind === 'unseen') return true;
  const server = observation.servers.value.find(({ name }) => name === subject.split('/')[0]);
  return server === undefined || server.answer.kind === 'facts';
}
