import type { FuncCall } from '@pgsql/types';
import { signalFunctions } from '../catalog/signal-sql.ts';
import type { Site } from '../catalog/site.ts';
import { pgError } from '../core/errors.ts';
import type { RawStatement } from '../sql/parse.ts';
import { type Renamed, renamed } from '../sql/renamed.ts';
import { createSource, type Edit, positionOf } from '../sql/source.ts';
import { nameParts, walk } from '../sql/walk.ts';
import type { SessionState } from './session-state.ts';

/** The statement with pg_cancel_backend() and its kin as the functions over all servers; null: it has none. */
export function withSignalCalls(statement: RawStatement): Renamed | null {
  const source = createSource(statement);
  const edits: Edit<never>[] = [];
  walk(statement.node, (kind, { funcname, location }: FuncCall) => {
    const [schema, name = schema] = kind === 'FuncCall' ? nameParts(funcname).slice(-2) : [];
    if (!signalFunctions.some((known) => known === name)) return undefined;
    const start = positionOf(source, location);
    if (schema === name) edits.push({ start, end: start, parts: ['pgherd.'] });
    else if (schema === 'pg_catalog') edits.push({ start, end: endOfWord(source.bytes, start), parts: ['pgherd'] });
    return undefined;
  });
  return edits.length === 0 ? null : renamed(source, edits);
}

function endOfWord(bytes: string, start: number): number {
  return start + /^(?:"[^"]*"|\w+)/.exec(bytes.slice(start))![0].length;
}

/**
 * Carries out what the statement has asked for. The server judges, as for the session's own role; then the whole session that the process
 * works for is told, for what runs on one server is part of a statement on several.
 */
export async function sendSignals(session: SessionState): Promise<void> {
  for (const report of session.signals.splice(0)) {
    const [, name, digits] = /^(\w+) (-?\d+)$/.exec(report) ?? [];
    if (digits === undefined) continue;
    const globalPid = Number(digits);
    const [nodeId, processId] = [Math.floor(globalPid / 10_000_000_000), globalPid % 10_000_000_000];
    const site = nodeId === 0 ? 'coordinator' : nodeId;
    const target = sessionWith(session.services.sessions, site, processId);
    if (nodeId !== 0 && !(await signalNode(session, name!, nodeId, processId))) continue;
    if (target === undefined) await session.services.peers.ask({ kind: 'signal', name: name!, site, processId });
    else if (target !== session) signalSession(target, name!);
  }
}

export function signalSession(target: SessionState, name: string): void {
  if (name === 'pg_terminate_backend') end(target);
  else if (target.runningSinceMs !== null) target.cancel();
}

/** The session of this worker that a backend works for. A process of another router's is signalled by itself alone. */
export function sessionWith(sessions: Iterable<SessionState>, site: Site, processId: number): SessionState | undefined {
  return [...sessions].find(
    ({ loop, backends }) =>
      loop === null && backends.some((backend) => backend.site === site && backend.processId === processId),
  );
}

async function signalNode(session: SessionState, name: string, nodeId: number, processId: number): Promise<boolean> {
  const { rows } = await session.aside(nodeId).query(`SELECT pg_catalog.${name}($1::integer)`, [String(processId)]);
  if (rows[0]?.[0] === 't') return true;
  const node = session.catalog.nodes.find(({ id }) => id === nodeId)?.name ?? nodeId;
  const message = `PID ${processId} is not a PostgreSQL backend process on ${node}`;
  session.notice({ severity: 'WARNING', code: '01000', message });
  return false;
}

function end(target: SessionState): void {
  target.cancel();
  target.client.fail(
    pgError('adminShutdown', 'terminating connection due to administrator command', { severity: 'FATAL' }).fields,
  );
}
