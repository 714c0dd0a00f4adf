import { clusterWideRelation } from '../catalog/snapshot.ts';
import { statisticsSchema } from '../catalog/statistics-views.ts';
import { qualifyRelations } from '../sql/qualify-relations.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

const mayName = /pg_stat_(?:activity|replication|user_tables|user_indexes|statements)/i;

/**
 * The statement with unqualified names of PostgreSQL's statistics led to the views over all servers: for whatever the coordinator is
 * to read as text. (The planner finds them by itself.)
 */
export async function withClusterWideNames(
  session: SessionState,
  statement: ParsedStatement,
): Promise<ParsedStatement> {
  if (!mayName.test(statement.text)) return statement;
  const searchPath = await session.searchPath();
  const { catalog, temporaryNames, services } = session;
  const isClusterWide = (name: string) =>
    !temporaryNames.has(name) && clusterWideRelation(catalog, name, searchPath) !== null;
  const text = qualifyRelations(statement, statisticsSchema, isClusterWide);
  return (text === null ? undefined : services.statements.parse(text)[0]) ?? statement;
}
