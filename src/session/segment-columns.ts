import { PgError } from '../core/errors.ts';
import { withSegmentCalls } from '../plan/segment-columns.ts';
import { planContext } from './run-statement.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/**
 * Works with the statement in which Greenplum's column `gp_segment_id` has become the call that servers understand. Errors tell their
 * position in the client's own text.
 */
export async function withSegments<T>(
  session: SessionState,
  statement: ParsedStatement,
  work: (statement: ParsedStatement) => Promise<T>,
): Promise<T> {
  if (!/gp_segment_id/i.test(statement.text)) return work(statement);
  const renamed = withSegmentCalls(statement, await planContext(session, []));
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
