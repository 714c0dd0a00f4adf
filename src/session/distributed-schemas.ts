import type { CreateSchemaStmt } from '@pgsql/types';
import { schemaTransaction } from './schema-commands.ts';
import type { SessionState } from './session-state.ts';
import { settingValueOf } from './setting-value.ts';
import type { ParsedStatement } from './statement-cache.ts';

const movingKinds = new Set([
  'CreateStmt',
  'CreateTableAsStmt',
  'AlterObjectSchemaStmt',
  'CreateSchemaStmt',
  'DropStmt',
]);

/** Whether a statement may bring a table into a distributed schema, or take one out: then both are one transaction. */
export function movesIntoSchemas(session: SessionState, { kind, node, traits }: ParsedStatement): boolean {
  if (traits.createsTemporary) return false;
  if (kind === 'CreateSchemaStmt') return true;
  if (session.catalog.distributedSchemas.size === 0) return false;
  return (
    movingKinds.has(kind) || (kind === 'SelectStmt' && 'intoClause' in (node as { SelectStmt: object }).SelectStmt)
  );
}

/** After the statement: tables go to where their schema is; a new schema is distributed if the session wants it. */
export async function settleSchemas(session: SessionState, statement: ParsedStatement): Promise<void> {
  if (!movesIntoSchemas(session, statement)) return;
  const { schema } = session.services;
  const created = statement.kind === 'CreateSchemaStmt' && (await wantsDistribution(session));
  if (!created && session.catalog.distributedSchemas.size === 0) return;
  const { transaction, settle } = await schemaTransaction(session);
  if (created) await schema.distributeSchema(transaction, await nameOf(session, statement));
  else await schema.settleSchemas(transaction);
  await settle();
}

async function wantsDistribution(session: SessionState): Promise<boolean> {
  return (await settingValueOf(session, 'citus.enable_schema_based_sharding')) === 'on';
}

/** As regnamespace reads it. CREATE SCHEMA AUTHORIZATION takes the role's name. */
async function nameOf(session: SessionState, { node }: ParsedStatement): Promise<string> {
  const { schemaname, authrole } = (node as { CreateSchemaStmt: CreateSchemaStmt }).CreateSchemaStmt;
  const connection = await session.coordinator();
  const name = schemaname ?? authrole?.rolename ?? null;
  const { rows } = await connection.query('SELECT quote_ident(coalesce($1, current_user))', [name]);
  return rows[0]![0]!;
}
