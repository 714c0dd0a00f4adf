import type { DiscardStmt, VariableSetStmt, VariableShowStmt } from '@pgsql/types';
import { PgError, pgError } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import { constantText } from '../sql/constant.ts';
import { quoteLiteral } from '../sql/quote.ts';
import type { LocalCommand } from '../transaction/distributed-transaction.ts';
import { routerSettings, type SettingsSnapshot, settingsOf, withSetting } from '../transaction/settings.ts';
import { shownApplicationName } from './application-name.ts';
import { checkCitusSetting, citusDefault } from './citus-settings.ts';
import { readGreenplumSet, shownGreenplumSetting } from './greenplum-settings.ts';
import { shownTimeout } from './idle-timeouts.ts';
import { readTemporaryNames } from './local-effects.ts';
import { runLocal, type StatementRun } from './run-statement.ts';
import { sayRows } from './say-rows.ts';
import type { SessionState } from './session-state.ts';
import { runSnapshotImport } from './snapshot-commands.ts';
import { requireUtf8 } from './startup-settings.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** SET, RESET, SET LOCAL, SET TRANSACTION, SET CONSTRAINTS' kin: the coordinator judges, the session remembers, the nodes follow. */
export async function runSet(session: SessionState, asked: ParsedStatement, output: ClientOutput): Promise<void> {
  const foreign = readGreenplumSet(
    session,
    asked,
    (asked.node as { VariableSetStmt: VariableSetStmt }).VariableSetStmt,
  );
  const statement = foreign?.statement ?? asked;
  const command = (statement.node as { VariableSetStmt: VariableSetStmt }).VariableSetStmt;
  const name = (command.name ?? '').toLowerCase();
  refuseReserved(name);
  if (name === 'client_encoding') requireUtf8(encodingOf(command));
  if (name === 'transaction snapshot') return runSnapshotImport(session, command, output);
  const ignored = name.startsWith('citus.') ? checkCitusSetting(name, command) : (foreign?.notice ?? null);
  const { transaction } = session;
  const connection = await session.coordinator('setting');
  const isTransactionCharacteristic = command.kind === 'VAR_SET_MULTI' && name === 'transaction';
  if (isTransactionCharacteristic) {
    const { tag } = await connection.query(statement.text);
    await transaction.setLocally('characteristic', statement.text);
    return output.complete(tag);
  }
  const { tag } = await connection.query(statement.text).catch(async (error: unknown) => {
    throw await withSettingHint(session, command, error);
  });
  if (routerSettings.has(name)) await setRouterSetting(session, command, name);
  else if (command.is_local) {
    await transaction.setLocally(localKind(name), statement.text);
    if (name === statementTimeout) await noteStatementTimeout(session);
  } else await changeSettings(session, command, name);
  // Snapshots that were being taken when the token was given may miss its cause: what the session does now comes after them.
  if (name === causalityToken) await session.services.fence.pass();
  session.reportParameters(connection);
  if (ignored !== null) session.notice({ severity: 'NOTICE', code: '00000', message: ignored });
  output.complete(tag === '' ? 'SET' : tag);
}

/** `SET LOCAL transaction_read_only` is another way to say SET TRANSACTION. */
export function localKind(name: string): LocalCommand {
  return /^transaction_(isolation|read_only|deferrable)$/.test(name) ? 'characteristic' : 'setting';
}

/** What a session can't set may be set on all servers. */
async function withSettingHint(session: SessionState, command: VariableSetStmt, error: unknown): Promise<unknown> {
  if (!(error instanceof PgError) || error.code !== conditions.cantChangeRuntimeParam) return error;
  const name = command.name ?? '';
  const { rows } = await session
    .aside()
    .query('SELECT context FROM pg_catalog.pg_settings WHERE lower(name) = lower($1)', [name]);
  const step = { postmaster: 'restart', sighup: 'reload' }[rows[0]?.[0] ?? ''];
  if (step === undefined) return error;
  const value = constantText(command.args?.[0]) ?? 'VALUE';
  const hint = `It is a setting of the servers: pgherd gpconfig -c ${name} -v ${value} --${step} changes it on all of them.`;
  return new PgError({ ...error.fields, hint });
}

const statementTimeout = 'statement_timeout';

/** SET LOCAL has set it, in one way or another. The servers count it too, each for its part of a statement. */
export async function noteStatementTimeout(session: SessionState): Promise<void> {
  if (!session.transaction.inBlock) return;
  const connection = await session.coordinator();
  const { rows } = await connection.query(`SELECT current_setting('${statementTimeout}')`);
  session.localTimeouts.set(statementTimeout, rows[0]?.[0] ?? '0');
}

/** SET for the session comes after what SET LOCAL has said. */
async function changeSettings(session: SessionState, command: VariableSetStmt, name: string): Promise<void> {
  await session.transaction.changeSettings(await settingsAfter(session, command, name));
  session.localTimeouts.forget(command.kind === 'VAR_RESET_ALL' ? statementTimeout : name);
}

/** What a session takes along to another router, so that nobody sees what it does there without what it did here. */
const causalityToken = 'pgherd.causality_token';

/** The coordinator has judged the value; the router keeps it, and no server acts on it. */
async function setRouterSetting(session: SessionState, command: VariableSetStmt, name: string): Promise<void> {
  const { transaction } = session;
  const connection = await session.coordinator();
  if (command.is_local) {
    const { values } = await rememberSettings(session, transaction.settings, [name]);
    if (transaction.inBlock) session.localTimeouts.set(name, values.get(name) ?? '0');
  } else await changeSettings(session, command, name);
  await connection.query(`SELECT set_config('${name}', '0', ${command.is_local === true})`);
}

async function settingsAfter(session: SessionState, command: VariableSetStmt, name: string): Promise<SettingsSnapshot> {
  const { settings } = session.transaction;
  switch (command.kind) {
    case 'VAR_RESET_ALL': {
      // RESET ALL leaves it at that who the session is.
      let kept = session.startupSettings;
      await applyStartup(session, kept);
      for (const identity of ['role', 'session_authorization']) {
        const value = settings.values.get(identity);
        if (value !== undefined) kept = withSetting(kept, identity, value);
      }
      return kept;
    }
    case 'VAR_RESET':
    case 'VAR_SET_DEFAULT': {
      const startup = session.startupSettings.values.get(name);
      if (name === 'session_authorization') return withSetting(withSetting(settings, 'role', null), name, null);
      if (startup === undefined) return withSetting(settings, name, null);
      await (await session.coordinator()).query(
        `SELECT set_config(${quoteLiteral(name)}, ${quoteLiteral(startup)}, false)`,
      );
      return withSetting(settings, name, startup);
    }
    case 'VAR_SET_MULTI': {
      const names = [
        'default_transaction_isolation',
        'default_transaction_read_only',
        'default_transaction_deferrable',
      ];
      return rememberSettings(session, settings, names);
    }
    default:
      // Another user's roles are others: PostgreSQL falls back to none.
      if (name === 'session_authorization')
        return rememberSettings(session, withSetting(settings, 'role', null), [name]);
      return rememberSettings(session, settings, [name]);
  }
}

/** `SET NAMES` and `SET client_encoding`; RESET and DEFAULT lead back to UTF8, as the connections were opened. */
function encodingOf({ args }: VariableSetStmt): string {
  return constantText(args?.[0]) ?? 'UTF8';
}

/** The values as the server holds them now, in a form that set_config takes. */
export async function rememberSettings(
  session: SessionState,
  settings: SettingsSnapshot,
  names: readonly string[],
): Promise<SettingsSnapshot> {
  const connection = await session.coordinator();
  const list = names.map((name) => `current_setting(${quoteLiteral(name)}, true)`).join(', ');
  const { rows } = await connection.query(`SELECT ${list}`);
  const values = new Map(settings.values);
  for (const [index, name] of names.entries()) {
    const value = rows[0]?.[index];
    if (value === null || value === undefined || (name === 'role' && value === 'none')) values.delete(name);
    else values.set(name, value);
  }
  return settingsOf(values);
}

async function applyStartup(session: SessionState, settings: SettingsSnapshot): Promise<void> {
  const connection = await session.coordinator();
  for (const [name, value] of settings.values) {
    if (routerSettings.has(name)) continue;
    await connection.query(`SELECT set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false)`);
  }
}

/** What only the router may set. */
export function refuseReserved(name: string): void {
  if (name === 'pgherd.shell_ok') {
    throw pgError('insufficientPrivilege', 'parameter "pgherd.shell_ok" is set by the router only');
  }
}

export async function runShow(session: SessionState, run: StatementRun, output: ClientOutput): Promise<void> {
  const command = (run.statement.node as { VariableShowStmt: VariableShowStmt }).VariableShowStmt;
  const name = (command.name ?? '').toLowerCase();
  const value = await shownByRouter(session, name);
  if (value === null) return runLocal(session, run, output);
  sayRows(output, [{ name, typeOid: 25 }], [[value]]);
  output.complete('SHOW');
}

/** null: the coordinator says it. */
async function shownByRouter(session: SessionState, name: string): Promise<string | null> {
  if (routerSettings.has(name)) return shownTimeout(session, name);
  if (name.startsWith('citus.')) return shownCitusSetting(session, name);
  if (name === causalityToken) return session.services.causalityToken();
  if (name !== 'application_name') return shownGreenplumSetting(session, name);
  const { parameters } = await session.coordinator();
  return shownApplicationName(session.transaction.settings, parameters.get(name) ?? '');
}

async function shownCitusSetting(session: SessionState, name: string): Promise<string | null> {
  const byDefault = name === 'citus.shard_count' ? String(session.services.defaultShardCount) : citusDefault(name);
  if (byDefault === undefined) return null;
  const connection = await session.coordinator();
  const { rows } = await connection.query(`SELECT current_setting(${quoteLiteral(name)}, true)`);
  return rows[0]?.[0] || byDefault;
}

/** DISCARD ALL gives the session back its first day, and unties it from its connection. */
export async function runDiscard(
  session: SessionState,
  statement: ParsedStatement,
  output: ClientOutput,
): Promise<void> {
  const command = (statement.node as { DiscardStmt: DiscardStmt }).DiscardStmt;
  const connection = await session.coordinator();
  const { tag } = await connection.query(statement.text);
  if (command.target === 'DISCARD_ALL') {
    session.prepared.clear();
    connection.appliedSettings = '';
    connection.preparedStatements.clear();
    await session.transaction.changeSettings(session.startupSettings);
    connection.appliedSettings = '';
    session.pinned = false;
    session.sequences.forget();
  }
  if (session.hasTemporary) await readTemporaryNames(session);
  session.reportParameters(connection);
  output.complete(tag);
}
