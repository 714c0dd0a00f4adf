import type { ConstraintsSetStmt } from '@pgsql/types';
import type { ExecutionContext } from '../execute/context.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/**
 * SET CONSTRAINTS, which the coordinator has taken: for the foreign keys that the router keeps, and with ALL for those that the nodes
 * keep. By name the nodes' own stay as they were defined: their names are their leaves'.
 */
export async function setConstraints(
  session: SessionState,
  statement: ParsedStatement,
  context: ExecutionContext,
): Promise<void> {
  const { constraints = [], deferred = false } = (statement.node as { ConstraintsSetStmt: ConstraintsSetStmt })
    .ConstraintsSetStmt;
  const names = constraints.flatMap((node) => ('RangeVar' in node ? [node.RangeVar.relname ?? ''] : []));
  if (!session.transaction.inBlock) return;
  if (names.length === 0) await session.transaction.setLocally(statement.text);
  await session.keys.setConstraints(names.length === 0 ? null : names, deferred, context);
}
