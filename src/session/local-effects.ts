import type { ServerConnection } from '../backend/server-connection.ts';
import { quoteLiteral } from '../sql/quote.ts';
import type { SessionState } from './session-state.ts';
import { rememberSettings } from './setting-commands.ts';
import { requireUtf8 } from './startup-settings.ts';
import type { ParsedStatement } from './statement-cache.ts';
import type { StatementTraits } from './statement-traits.ts';

/** What a statement that ran on the coordinator left behind there, as far as the session has to know. */
export async function afterLocalStatement(session: SessionState, statement: ParsedStatement): Promise<void> {
  const { traits } = statement;
  if (traits.createsTemporary) {
    session.pinned = true;
    await readTemporaryNames(session);
  }
  if (traits.setConfigCalls.length > 0) await noteSetConfig(session, traits.setConfigCalls);
}

/** The names that shadow others in this session. */
export async function readTemporaryNames(session: SessionState): Promise<void> {
  const connection = await session.coordinator();
  const { rows } = await connection.query(
    "SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind IN ('r', 'v', 'S', 'p', 'f')",
  );
  session.temporaryNames = new Set(rows.map((row) => row[0]!));
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
      const value = quoteLiteral(rows[0]?.[0] ?? '');
      await session.transaction.setLocally(`SELECT set_config(${quoteLiteral(name)}, ${value}, true)`);
    } else {
      const settings = await rememberSettings(session, session.transaction.settings, [name]);
      await session.transaction.changeSettings(settings);
    }
  }
  session.reportParameters(connection);
}
