import type { ExecuteStmt } from '@pgsql/types';
import { describeOn, type StatementDescription } from './describe.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/**
 * Parameter and row types of a statement, from preparing it on the coordinator; remembered for as long as the catalog, the search
 * path and the role stay the same and no temporary table shadows anything.
 */
export async function describeStatement(
  session: SessionState,
  statement: ParsedStatement,
  parameterOids: readonly number[],
): Promise<StatementDescription> {
  if (statement.kind === 'ExecuteStmt') {
    const { name } = (statement.node as { ExecuteStmt: ExecuteStmt }).ExecuteStmt;
    const prepared = session.prepared.get(name ?? '');
    if (prepared !== undefined) return { parameterOids: [], fields: prepared.fields };
  }
  const { services, transaction } = session;
  const cacheable =
    session.transactionCatalog === null &&
    session.temporaryNames.size === 0 &&
    !transaction.hasLocalSettings &&
    statement.kind !== 'FetchStmt';
  const key = [
    session.catalog.version,
    session.identity.user,
    // The role too: `"$user"` in the search path.
    ...['search_path', 'role', 'session_authorization'].map((name) => transaction.settings.values.get(name) ?? ''),
    parameterOids.join(','),
    statement.text,
  ].join('\0');
  const known = cacheable ? services.descriptions.get(key) : undefined;
  if (known !== undefined) return known;
  const connection = await session.coordinator();
  const description = await describeOn(connection, statement.text, parameterOids);
  if (cacheable) services.descriptions.set(key, description);
  return description;
}
