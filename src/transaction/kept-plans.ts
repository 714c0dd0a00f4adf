import type { ServerConnection } from '../backend/server-connection.ts';
import { type SettingsSnapshot, settingsChangeSql, withSetting } from './settings.ts';

/*
 * To plan a statement over many leaves takes a server longer than to run a small one. A connection that such statements use again and again
 * stays in the mode in which the server keeps their plans; whoever comes next with other statements finds it by its settings.
 */

/** These settings, and that plans are kept; the same if the session has an opinion of its own. */
export function keepingPlans(settings: SettingsSnapshot): SettingsSnapshot {
  const known = withMode.get(settings);
  if (known !== undefined) return known;
  const kept = settings.values.has(mode) ? settings : withSetting(settings, mode, 'force_generic_plan');
  withMode.set(settings, kept);
  return kept;
}

/** Whether the connection has these settings, but for the mode. */
export function differsByMode(connection: ServerConnection, settings: SettingsSnapshot): boolean {
  const { appliedSettings } = connection;
  return appliedSettings === settings.key || appliedSettings === keepingPlans(settings).key;
}

/** Sent in front of what needs the mode, and not waited for. */
export function changeMode(connection: ServerConnection, wanted: SettingsSnapshot): void {
  if (connection.appliedSettings === wanted.key) return;
  const sql = settingsChangeSql(connection.appliedSettings, wanted);
  connection.appliedSettings = wanted.key;
  // When it is refused, or cancelled, nobody knows what the settings are.
  connection.query(sql).catch(() => {
    connection.tainted = true;
  });
}

const mode = 'plan_cache_mode';
const withMode = new WeakMap<SettingsSnapshot, SettingsSnapshot>();
