import type { SqlRunner } from '../core/runner.ts';

/** A session's settings that differ from the server's own: name (lower case) → value as `current_setting` gives it. Frozen values. */
export interface SettingsSnapshot {
  readonly values: ReadonlyMap<string, string>;
  /** Equal keys, equal settings: what a connection remembers of what was applied to it. */
  readonly key: string;
}

export const noSettings: SettingsSnapshot = { values: new Map(), key: '' };

export function settingsOf(values: ReadonlyMap<string, string>): SettingsSnapshot {
  const sorted = new Map([...values].sort(([a], [b]) => (a < b ? -1 : 1)));
  return { values: sorted, key: sorted.size === 0 ? '' : JSON.stringify([...sorted]) };
}

export function withSetting(settings: SettingsSnapshot, name: string, value: string | null): SettingsSnapshot {
  const values = new Map(settings.values);
  if (value === null) values.delete(name.toLowerCase());
  else values.set(name.toLowerCase(), value);
  return settingsOf(values);
}

/** What the router carries out itself: servers never hear of it. */
export const routerSettings: ReadonlySet<string> = new Set([
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'transaction_timeout',
]);

/** Who the session is, given up in this order and taken in the reverse one: each decides what else may be set. */
const identities = ['role', 'session_authorization'];

/** The SQL that turns a connection with `applied` into one with `wanted`; empty when nothing is to do. */
export function settingsChangeSql(applied: string, wanted: SettingsSnapshot): string {
  if (applied === wanted.key) return '';
  const entries = applied === '' ? [] : (JSON.parse(applied) as [string, string][]);
  const before = new Map<string, string>(entries.filter(([name]) => !routerSettings.has(name)));
  const statements: string[] = [];
  const isNew = (name: string) => before.get(name) !== wanted.values.get(name);
  // A role is one of the session's user: with another user it is to be set anew.
  const given = identities.filter((name) => before.has(name) && (isNew(name) || isNew('session_authorization')));
  statements.push(...given.map((name) => `RESET ${name}`));
  for (const name of before.keys()) {
    if (!identities.includes(name) && !wanted.values.has(name)) statements.push(`RESET ${quoteSetting(name)}`);
  }
  const sets: string[] = [];
  for (const [name, value] of wanted.values) {
    if (routerSettings.has(name)) continue;
    if (!identities.includes(name) && before.get(name) !== value) sets.push(setConfig(name, value));
  }
  for (const name of identities.toReversed()) {
    const value = wanted.values.get(name);
    if (value !== undefined && (!before.has(name) || given.includes(name))) sets.push(setConfig(name, value));
  }
  if (sets.length > 0) statements.push(`SELECT ${sets.join(', ')}`);
  return statements.join('; ');
}

/** Brings a connection's settings up to date. Waits, since a statement must never run under the wrong ones. */
export async function applySettings(
  connection: SqlRunner & { appliedSettings: string },
  wanted: SettingsSnapshot,
): Promise<void> {
  const sql = settingsChangeSql(connection.appliedSettings, wanted);
  if (sql !== '') await connection.query(sql);
  connection.appliedSettings = wanted.key;
}

function setConfig(name: string, value: string): string {
  return `set_config(${quoteText(name)}, ${quoteText(value)}, false)`;
}

function quoteText(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** Setting names are identifiers with dots between them. */
function quoteSetting(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.');
}
