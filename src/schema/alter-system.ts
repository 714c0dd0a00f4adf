import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { settled } from '../core/settled.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/quote.ts';
import type { HerdTransaction } from './herd.ts';
import { activeNodes } from './place-table.ts';
import { checkSettingValue, type SettingShape } from './setting-values.ts';

export interface SystemChange {
  readonly name: string;
  /** null: back to what the server has without ALTER SYSTEM. */
  readonly value: string | null;
  /** Where the coordinator's value differs. */
  readonly coordinatorValue: string | null;
  readonly coordinatorOnly: boolean;
  readonly skipValidation: boolean;
}

/** What a server says of a setting. */
export interface ServerSetting extends SettingShape {
  readonly nodeId: number;
  readonly server: string;
  readonly value: string;
  readonly context: string;
  readonly source: string;
  /** What ALTER SYSTEM has set, if it has; null also for those who may not know. */
  readonly inFile: string | null;
  readonly pendingRestart: boolean;
}

interface Site {
  readonly id: number;
  readonly name: string;
  readonly runner: SqlRunner;
}

/**
 * ALTER SYSTEM on the coordinator and all nodes, each outside of any transaction. Names and values are judged everywhere before
 * anything is changed; what a server refuses all the same is undone on the others.
 */
export async function alterSystem(tx: HerdTransaction, change: SystemChange): Promise<ServerSetting[]> {
  const all = await sitesOf(tx);
  const sites = change.coordinatorOnly ? all.filter(({ id }) => id === 0) : all;
  const found = await readEach(sites, change.name);
  const valueAt = (id: number) => (id === 0 ? (change.coordinatorValue ?? change.value) : change.value);
  for (const { site, setting } of found) {
    if (!setting) throw unknownSetting(change.name, site.name);
    checkChangeable(setting);
    const value = valueAt(site.id);
    if (value !== null && !change.skipValidation) checkSettingValue(setting, value);
  }
  const changed: typeof found = [];
  for (const entry of found) {
    try {
      await entry.site.runner.query(alterSystemSql(change.name, valueAt(entry.site.id)));
      changed.push(entry);
    } catch (error) {
      await settled(
        changed.map(({ site, setting }) => site.runner.query(alterSystemSql(change.name, setting?.inFile ?? null))),
      ).catch(() => {});
      throw error;
    }
  }
  return found.map(({ setting }) => setting!);
}

/** One setting, or all, as every server has it. */
export async function settingsOfServers(tx: HerdTransaction, name: string | null): Promise<ServerSetting[]> {
  const sites = await sitesOf(tx);
  if (name === null) return readSettings(sites[0]!, null);
  const found = await readEach(sites, name);
  const missing = found.find(({ setting }) => !setting);
  if (missing) throw unknownSetting(name, missing.site.name);
  return found.map(({ setting }) => setting!);
}

async function sitesOf(tx: HerdTransaction): Promise<Site[]> {
  const nodes = activeNodes(await tx.snapshot());
  return [
    { id: 0, name: 'coordinator', runner: apart(tx, 'coordinator') },
    ...nodes.map(({ id, name }) => ({ id, name, runner: apart(tx, id) })),
  ];
}

function apart(tx: HerdTransaction, site: 'coordinator' | number): SqlRunner {
  return { query: (sql, parameters) => tx.beside(site, (runner) => runner.query(sql, parameters)) };
}

async function readEach(sites: readonly Site[], name: string) {
  return Promise.all(sites.map(async (site) => ({ site, setting: (await readSettings(site, name))[0] })));
}

async function readSettings({ id, name: server, runner }: Site, name: string | null): Promise<ServerSetting[]> {
  const { rows } = await runner.query(settingsSql, [name]);
  return rows.map(([own, value, type, unit, min, max, values, context, source, inFile, pending]) => ({
    ...{ nodeId: id, server, name: own!, value: value!, type: type!, unit: unit!, context: context!, source: source! },
    min: min === null ? null : Number(min),
    max: max === null ? null : Number(max),
    values: values === null ? null : (JSON.parse(values!) as string[]),
    inFile: inFile!,
    pendingRestart: pending === 't',
  }));
}

const settingsSql = `SELECT s.name, current_setting(s.name), s.vartype, s.unit, s.min_val, s.max_val, to_json(s.enumvals), s.context,
  s.source, CASE WHEN r.rolsuper THEN (SELECT f.setting FROM pg_catalog.pg_show_all_file_settings() f
    WHERE lower(f.name) = lower(s.name) AND f.sourcefile LIKE '%postgresql.auto.conf' ORDER BY f.seqno DESC LIMIT 1) END, s.pending_restart
FROM pg_catalog.pg_settings s JOIN pg_catalog.pg_roles r ON r.rolname = current_user
WHERE $1::text IS NULL OR lower(s.name) = lower($1)
ORDER BY s.name`;

function unknownSetting(name: string, server: string) {
  return pgError('undefinedObject', `unrecognized configuration parameter "${name}"`, {
    detail: `There is none on ${server}.`,
    hint: 'pgherd gpconfig -l lists all of them.',
  });
}

/** ALTER SYSTEM would be without effect, or is refused. */
function checkChangeable({ name, context, source, server }: ServerSetting): void {
  if (context === 'internal') {
    throw pgError('invalidParameterValue', `parameter "${name}" cannot be changed`, {
      hint: 'It was fixed when the server was built or initialised.',
    });
  }
  if (source === 'command line') {
    throw pgError(
      'invalidParameterValue',
      `parameter "${name}" of ${server} is given on the command line of the server`,
      {
        hint: 'The embedded herd chooses it at its start; ALTER SYSTEM would be without effect.',
      },
    );
  }
}

/** Lists whose elements are quoted each (GUC_LIST_QUOTE). */
const quotedLists = new Set([
  ...['local_preload_libraries', 'search_path', 'session_preload_libraries', 'shared_preload_libraries'],
  ...['temp_tablespaces', 'unix_socket_directories'],
]);

function alterSystemSql(name: string, value: string | null): string {
  const parameter = name.toLowerCase().split('.').map(quoteIdentifier).join('.');
  if (value === null) return `ALTER SYSTEM RESET ${parameter}`;
  const parts = quotedLists.has(name.toLowerCase()) ? value.split(',').map((part) => part.trim()) : [value];
  return `ALTER SYSTEM SET ${parameter} = ${parts.map(quoteLiteral).join(', ')}`;
}
