import { PgError } from '../core/errors.ts';
import { withSegmentCalls } from '../plan/segment-columns.ts';
import type { Renamed } from '../sql/renamed.ts';
import { planContext } from './run-statement.ts';
import type { SessionState } from './session-state.ts';
import { withSignalCalls } from './signals.ts';
import type { ParsedStatement } from './statement-cache.ts';

/**
 * Works with the statement in which Greenplum's column `gp_segment_id`, and functions that signal processes of all servers, have become
 * calls that servers understand. Errors tell their position in the client's own text.
 */
export async function withOwnNames<T>(
  session: SessionState,
  statement: ParsedStatement,
  work: (statement: ParsedStatement) => Promise<T>,
): Promise<T> {
  const signals = /pg_(?:cancel|terminate)_backend/i.test(statement.text) ? withSignalCalls(statement) : null;
  return withNames(session, statement, signals, async (found) => {
    const hasSegments = /gp_segment_id/i.test(found.text);
    const segments = hasSegments ? withSegmentCalls(found, await planContext(session, [])) : null;
    return withNames(session, found, segments, work);
  });
}

async function withNames<T>(
  session: SessionState,
  statement: ParsedStatement,
  renamed: Renamed | null,
  work: (statement: ParsedStatement) => Promise<T>,
): Promise<T> {
  const [parsed] = renamed === null ? [] : session.services.statements.parse(renamed.text);
  if (renamed === null || parsed === undefined) return work(statement);
  try {
    return await work(statement.dialect ? { ...parsed, dialect: statement.dialect } : parsed);
  } catch (error) {
    if (!(error instanceof PgError) || error.fields.position === undefined) throw error;
    const position = String(renamed.originalPosition(Number(error.fields.position)));
    throw new PgError({ ...error.fields, position });
  }
}
