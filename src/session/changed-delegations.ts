import { writesByFunctions } from './function-calls.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** After a block, procedure or function on the coordinator: it may have changed a function whose calls nodes carry out as it was. */
export async function noteChangedDelegations(session: SessionState, statement: ParsedStatement): Promise<void> {
  if (await areChanged(session, statement)) await session.schemaWasChanged();
}

async function areChanged(session: SessionState, statement: ParsedStatement): Promise<boolean> {
  const { delegations } = session.catalog;
  if (delegations.size === 0 || !mayChange(session, statement)) return false;
  const connection = await session.coordinator();
  const { rows } = await connection.query(
    'SELECT p.oid, p.xmin FROM pgherd.dist_function d JOIN pg_catalog.pg_proc p ON p.oid = d.function',
  );
  const versions = new Map(rows.map(([oid, version]) => [Number(oid), version]));
  return [...delegations.values()].flat().some(({ oid, version }) => versions.get(oid) !== version);
}

function mayChange(session: SessionState, statement: ParsedStatement): boolean {
  if (statement.kind === 'DoStmt' || statement.kind === 'CallStmt') return true;
  return statement.kind !== 'ExplainStmt' && writesByFunctions(session, statement);
}
