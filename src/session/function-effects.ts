import type { DoStmt } from '@pgsql/types';
import {
  effectsOfSource,
  joinEffects,
  noEffects,
  type SessionEffects,
  staysBehind,
  wordsOf,
} from '../catalog/session-effects.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { changeTargets } from './function-calls.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/*
 * A user's function may do to its session what only a statement of the session's own is seen to do: make temporary tables, set
 * parameters, take session-level locks. Without care that would stay on a pooled connection, for whoever gets it next.
 */

/** What the functions that a statement calls may leave behind on the coordinator. */
export function effectsOf(session: SessionState, statement: ParsedStatement): SessionEffects {
  const { functionEffects } = session.catalog;
  const { kind, node, traits } = statement;
  if (kind === 'DoStmt') return effectsOfBlock(functionEffects.byName, node as { DoStmt: DoStmt });
  if (functionEffects.byName.size === 0) return noEffects;
  const called = traits.calls.flatMap((name) => functionEffects.byName.get(name) ?? []);
  if (
    functionEffects.triggers !== noEffects &&
    changeTargets(session, statement).some(({ hasTriggers }) => hasTriggers)
  )
    called.push(functionEffects.triggers);
  return called.length === 0 ? noEffects : joinEffects(called);
}

/** Trigger functions run on the nodes of a distributed table too, where nobody looks for what they leave behind. */
export function leavesStateOnNodes(session: SessionState, statement: ParsedStatement): boolean {
  const { triggers } = session.catalog.functionEffects;
  if (!staysBehind(triggers)) return false;
  return changeTargets(session, statement).some(({ distributed, hasTriggers }) => distributed !== null && hasTriggers);
}

type EffectsByName = CatalogSnapshot['functionEffects']['byName'];

function effectsOfBlock(byName: EffectsByName, { DoStmt: { args = [] } }: { DoStmt: DoStmt }): SessionEffects {
  const texts = args.flatMap((arg) => {
    const value = 'DefElem' in arg && arg.DefElem.defname === 'as' ? arg.DefElem.arg : undefined;
    return value !== undefined && 'String' in value ? [value.String.sval ?? ''] : [];
  });
  const source = texts.join(' ');
  const words = wordsOf(source);
  return joinEffects([
    effectsOfSource(source),
    ...[...byName].flatMap(([name, effects]) => (words.has(name) ? [effects] : [])),
  ]);
}
