import type { ServerConnection } from '../backend/server-connection.ts';
import { type ColumnEntry, type RelationEntry, temporarySchema } from '../catalog/snapshot.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { effectsOf, leavesStateOnNodes } from './function-effects.ts';
import type { SessionState } from './session-state.ts';
import { localKind, noteStatementTimeout, rememberSettings } from './setting-commands.ts';
import { requireUtf8 } from './startup-settings.ts';
import type { ParsedStatement } from './statement-cache.ts';
import type { StatementTraits } from './statement-traits.ts';

/** What a statement that ran on the coordinator left behind there, as far as the session has to know. */
export async function afterLocalStatement(session: SessionState, statement: ParsedStatement): Promise<void> {
  const { traits } = statement;
  const effects = effectsOf(session, statement);
  if (traits.createsTemporary || effects.temporary || createsInTemporarySchema(session, statement))
    session.hasTemporary = true;
  if (session.hasTemporary && (effects.temporary || mayChangeNames(statement))) await readTemporaryNames(session);
  const settings = [...traits.setConfigCalls, ...(effects.settings ?? unknownSettings)];
  if (settings.length > 0) await noteSetConfig(session, settings);
}

/** Where the search path begins with it. */
function createsInTemporarySchema({ transaction }: SessionState, { kind }: ParsedStatement): boolean {
  return /^(Create|View)/.test(kind) && /^\s*"?pg_temp/.test(transaction.settings.values.get('search_path') ?? '');
}

/** As set_config() with a computed name. */
const unknownSettings: StatementTraits['setConfigCalls'] = [{ name: '', local: false }];

/** Ties the session to its connection before a statement leaves there what only that has: of what failed, some stays. */
export function beforeLocalStatement(session: SessionState, statement: ParsedStatement): void {
  if (statement.traits.pinsConnection || effectsOf(session, statement).ties) session.pinned = true;
  if (leavesStateOnNodes(session, statement)) session.leavesStateOnNodes = true;
}

function mayChangeNames({ kind, traits }: ParsedStatement): boolean {
  return traits.createsTemporary || !/^(Select|Insert|Update|Delete|Merge|Fetch|VariableShow|Explain)Stmt$/.test(kind);
}

/** What the session has in its temporary schema: relations by name and kind, and with no name all else. */
const temporaryObjects = `SELECT relname, relkind FROM pg_catalog.pg_class
  WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind IN ('r', 'v', 'S', 'p', 'f', 'c')
UNION ALL SELECT '', 'other' WHERE EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema())
  OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE typnamespace = pg_catalog.pg_my_temp_schema() AND typtype IN ('d', 'e', 'r'))`;

/** The names that shadow others in this session. Once nothing temporary is left, and can't come back by ROLLBACK, its connection may be any again. */
export async function readTemporaryNames(session: SessionState): Promise<void> {
  const connection = await session.coordinator();
  const { rows } = await connection.query(temporaryObjects);
  session.temporaryNames = new Set(rows.flatMap(([name, kind]) => (kind === 'c' || kind === 'other' ? [] : [name!])));
  session.temporaryViews = rows.some((row) => row[1] === 'v')
    ? await readTemporaryViews(session, connection)
    : new Map();
  if (!session.transaction.inBlock) session.hasTemporary = rows.length > 0;
}

/** Temporary views as the planner takes views: by name, so that those over distributed tables are expanded like any other. */
async function readTemporaryViews(session: SessionState, connection: SqlRunner): Promise<Map<string, RelationEntry>> {
  const { rows: kept } = await connection.query("SELECT current_setting('search_path')");
  const { rows } = await connection.query(
    // Definitions are read with all names qualified. Outside a block the setting ends with this text.
    `SELECT pg_catalog.set_config('search_path', '', true);
     SELECT c.oid, c.relname, pg_catalog.pg_get_viewdef(c.oid),
            (SELECT json_agg(json_build_object('name', a.attname, 'attnum', a.attnum, 'typeOid', a.atttypid::bigint,
                      'typmod', a.atttypmod, 'typeName', pg_catalog.format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
               FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
       FROM pg_catalog.pg_class c WHERE c.relnamespace = pg_catalog.pg_my_temp_schema() AND c.relkind = 'v'`,
  );
  if (session.transaction.inBlock) {
    await connection.query(`SELECT pg_catalog.set_config('search_path', ${quoteLiteral(kept[0]?.[0] ?? '')}, true)`);
  }
  return new Map(
    rows.map(([oid, name, definition, columns]) => [
      name!,
      {
        oid: Number(oid),
        schema: temporarySchema,
        name: name!,
        kind: 'view',
        columns: (JSON.parse(columns ?? '[]') as ColumnEntry[]).map((column) => ({
          ...column,
          collation: null,
          notNull: false,
          default: { kind: 'none' },
        })),
        distributed: null,
        viewDefinition: (definition ?? '').replace(/;\s*$/, ''),
      },
    ]),
  );
}

/** The connection speaks another encoding by now, so it is of no further use. */
async function refuseEncoding(connection: ServerConnection): Promise<void> {
  connection.tainted = true;
  const { rows } = await connection.query('SHOW client_encoding');
  requireUtf8(rows[0]?.[0] ?? '');
  connection.tainted = false;
}

/** set_config() works like SET or SET LOCAL: read back what it set. */
async function noteSetConfig(session: SessionState, calls: StatementTraits['setConfigCalls']): Promise<void> {
  const connection = await session.coordinator();
  for (const { name, local } of calls) {
    if (name.toLowerCase() === 'client_encoding') await refuseEncoding(connection);
    if (name === '') {
      // A computed name: nobody knows what was set, so the session keeps this very connection.
      session.pinned = true;
      connection.tainted = true;
      continue;
    }
    if (local) {
      const { rows } = await connection.query(`SELECT current_setting(${quoteLiteral(name)}, true)`);
      const value = rows[0]?.[0];
      if (value === null || value === undefined) continue;
      const sql = `SELECT set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, true)`;
      await session.transaction.setLocally(localKind(name), sql);
      if (name.toLowerCase() === 'statement_timeout') await noteStatementTimeout(session);
    } else {
      const settings = await rememberSettings(session, session.transaction.settings, [name]);
      await session.transaction.changeSettings(settings);
      session.localTimeouts.forget(name.toLowerCase());
    }
  }
  session.reportParameters(connection);
}
