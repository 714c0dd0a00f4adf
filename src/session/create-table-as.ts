import type { RangeVar } from '@pgsql/types';
import type { ClientOutput } from '../execute/client-output.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { runPlanned, type StatementRun } from './run-statement.ts';
import { runSchemaAction } from './schema-commands.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** CREATE TABLE AS: the coordinator makes the table, and a clause of Greenplum's or Postgres-XL's sends its rows to their shards. */
export async function runCreateTableAs(session: SessionState, run: StatementRun, output: ClientOutput): Promise<void> {
  const { statement } = run;
  if (statement.dialect === undefined) return runPlanned(session, run, output);
  const { schema } = session.services;
  const action = schema.classify(statement, session.catalog, await session.searchPath(), session.temporaryNames);
  if (action.kind === 'local') return runPlanned(session, run, output);
  session.transaction.ensureBlock();
  const existed = await existsAlready(session, statement);
  await runPlanned(session, run, output);
  if (!existed) await runSchemaAction(session, statement, action);
}

/** IF NOT EXISTS leaves a table of that name as it is. */
async function existsAlready(session: SessionState, { node }: ParsedStatement): Promise<boolean> {
  if (!('CreateTableAsStmt' in node) || !node.CreateTableAsStmt.if_not_exists) return false;
  const connection = await session.coordinator();
  const { rows } = await connection.query('SELECT to_regclass($1) IS NOT NULL', [
    nameOf(node.CreateTableAsStmt.into?.rel ?? {}),
  ]);
  return rows[0]?.[0] === 't';
}

function nameOf({ schemaname, relname = '' }: RangeVar): string {
  return schemaname === undefined ? quoteIdentifier(relname) : quoteQualified(schemaname, relname);
}
