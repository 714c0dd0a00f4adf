import { join } from 'node:path';
import { dataRootAt } from '../cluster/data-root.ts';
import { serverNames } from '../cluster/herd-state.ts';
import { SetupError } from '../cluster/setup-error.ts';
import { type HerdClient, openHerdClient } from './herd-client.ts';
import { restartEmbeddedServer } from './restart-server.ts';
import { herdStatus } from './status.ts';

/** The flags of Greenplum's gpconfig, and two of our own that carry pending changes out. */
export interface GpconfigFlags {
  readonly data: string;
  readonly url?: string;
  readonly change?: string;
  readonly value?: string;
  readonly mastervalue?: string;
  readonly remove?: string;
  readonly show?: string;
  readonly list?: true;
  readonly masteronly?: true;
  readonly coordinatoronly?: true;
  readonly skipvalidation?: true;
  readonly file?: true;
  readonly reload?: true;
  readonly restart?: true;
  readonly json?: true;
}

/** `pgherd gpconfig`: settings of all servers, by ALTER SYSTEM through the router. Prints what gpconfig prints. */
export async function gpconfig(flags: GpconfigFlags, print: (line: string) => void): Promise<void> {
  checkFlags(flags);
  const messages: string[] = [];
  const say = flags.json ? (line: string) => void messages.push(line) : print;
  const settings = await run(flags, say);
  if (flags.json) print(JSON.stringify({ messages, ...(settings ? { settings } : {}) }, null, 2));
}

type Setting = Readonly<Record<string, string | null>>;

/** The settings that were shown or listed, for programs. */
async function run(flags: GpconfigFlags, say: (line: string) => void): Promise<Setting[] | undefined> {
  if (flags.restart && flags.url !== undefined) {
    throw new SetupError(
      '--restart is for the embedded herd',
      'Servers of your own are restarted by whatever runs them; --reload works with --url.',
    );
  }
  const client = await openHerdClient(flags);
  let settings: Setting[] | undefined;
  try {
    if (flags.list) settings = await list(client, say);
    if (flags.show !== undefined) settings = await show(client, flags.show, flags.file === true, say);
    if (flags.change !== undefined || flags.remove !== undefined) await change(client, flags, say);
    if (flags.reload) await reload(client, say);
  } finally {
    client.close();
  }
  if (flags.restart) await restart(flags.data, say);
  return settings;
}

function checkFlags(flags: GpconfigFlags): void {
  const actions = [flags.change, flags.remove, flags.show, flags.list].filter((action) => action !== undefined);
  const misused = (message: string, hint: string) => new SetupError(message, hint);
  if (actions.length > 1) throw misused('give one of --change, --remove, --show and --list', 'pgherd gpconfig --help');
  if (actions.length === 0 && !flags.reload && !flags.restart) {
    throw misused('there is nothing to do', 'pgherd gpconfig -c work_mem -v 64MB; -s NAME shows, -l lists.');
  }
  if (flags.change !== undefined && flags.value === undefined) {
    throw misused('--change needs a value', `pgherd gpconfig -c ${flags.change} -v VALUE`);
  }
  if (flags.change === undefined && (flags.value ?? flags.mastervalue) !== undefined) {
    throw misused('--value and --mastervalue belong to --change', 'pgherd gpconfig -c NAME -v VALUE [-m VALUE]');
  }
}

async function change(client: HerdClient, flags: GpconfigFlags, say: (line: string) => void): Promise<void> {
  const name = (flags.change ?? flags.remove)!;
  const value = flags.change === undefined ? null : (flags.value ?? null);
  const coordinatorValue = flags.change === undefined ? null : (flags.mastervalue ?? null);
  const { rows } = await client.query(
    `SELECT pending FROM pgherd_alter_system($1::text, $2::text, $3::text, ${isCoordinatorOnly(flags)}, ${flags.skipvalidation === true})`,
    [name, value, coordinatorValue],
  );
  say(`completed successfully with parameters '${parametersOf(flags)}'`);
  const waits = rows[0]?.[0] === 'restart' ? 'restart' : 'reload';
  if (flags[waits] || (waits === 'reload' && flags.restart)) return;
  say(`${name} is pending a ${waits} of the servers: pgherd gpconfig --${waits}`);
}

function isCoordinatorOnly(flags: GpconfigFlags): boolean {
  return flags.masteronly === true || flags.coordinatoronly === true;
}

function parametersOf(flags: GpconfigFlags): string {
  const named = { '-c': flags.change, '-r': flags.remove, '-v': flags.value, '-m': flags.mastervalue };
  const words = Object.entries(named).flatMap(([flag, value]) => (value === undefined ? [] : [`${flag} ${value}`]));
  const alone = { '--masteronly': isCoordinatorOnly(flags), '--skipvalidation': flags.skipvalidation === true };
  return [...words, ...Object.entries(alone).flatMap(([flag, given]) => (given ? [flag] : []))].join(' ');
}

async function show(
  client: HerdClient,
  name: string,
  ofFile: boolean,
  say: (line: string) => void,
): Promise<Setting[]> {
  const { columns, rows } = await client.query(
    'SELECT nodeid, nodename, name, value, file_value, pending_restart FROM pgherd_settings($1::text) ORDER BY nodeid',
    [name],
  );
  const shown = rows.map(([id, server, own, value, inFile, pending]) => ({
    ...{ isCoordinator: id === '0', server: server!, own: own!, pending: pending === 't' },
    value: ofFile ? (inFile ?? 'not set') : value!,
  }));
  const [coordinator, ...nodes] = shown;
  const values = new Set(nodes.map((node) => node.value));
  say(values.size <= 1 ? 'Values on all segments are consistent' : 'WARNING: GUCS ARE OUT OF SYNC: ');
  say(`GUC          : ${coordinator!.own}`);
  say(`Master  value: ${coordinator!.value}`);
  if (values.size <= 1) for (const value of values) say(`Segment value: ${value}`);
  else for (const node of nodes) say(`[context: ${node.server}] [name: ${node.own}] [value: ${node.value}]`);
  const pending = shown.filter((each) => each.pending).map((each) => each.server);
  if (pending.length > 0) say(`A change is pending a restart of ${pending.join(', ')}: pgherd gpconfig --restart`);
  return asObjects(columns, rows);
}

async function list(client: HerdClient, say: (line: string) => void): Promise<Setting[]> {
  const { columns, rows } = await client.query(
    'SELECT name, unit, context, vartype, min_val, max_val FROM pgherd_settings() ORDER BY name',
  );
  const labels = ['name', 'unit', 'context', 'vartype', 'min_val', 'max_val'];
  for (const row of rows) say(row.map((value, i) => `[${labels[i]}: ${value ?? ''}]`).join(' '));
  return asObjects(columns, rows);
}

function asObjects(columns: readonly string[], rows: readonly (readonly (string | null)[])[]): Setting[] {
  return rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i] ?? null])));
}

async function reload(client: HerdClient, say: (line: string) => void): Promise<void> {
  const { rows } = await client.query(
    "SELECT nodeid, success, result FROM run_command_on_all_nodes('SELECT pg_reload_conf()')",
  );
  const failed = rows.find(([, success, result]) => success !== 't' || result !== 't');
  if (failed) throw new SetupError(`server ${failed[0]} did not reload: ${failed[2]}`);
  say('all servers have read their configuration again');
}

/** One server after the other. One that doesn't start with its new settings gets its old ones back. */
async function restart(dataDir: string, say: (line: string) => void): Promise<void> {
  const status = await herdStatus(dataDir);
  if (status.pid === null) throw new SetupError(`the herd in ${dataDir} does not run`, 'Start it with pgherd up.');
  const root = dataRootAt(dataDir);
  for (const name of serverNames(status.nodes.length)) {
    const port = [status.coordinator, ...status.nodes].find((part) => part.name === name)?.port;
    if (port == null) continue;
    const server = { dataDir: join(root.serversDir, name), logFile: join(root.logDir, `${name}.log`), port };
    const failure = await restartEmbeddedServer(server);
    if (failure === null) {
      say(`${name} was restarted`);
      continue;
    }
    throw new SetupError(
      `${name} did not start again with its new settings:\n${failure.log}`,
      failure.restored
        ? `What ALTER SYSTEM had set there is in ${failure.savedAs} now, and the server runs again without it.`
        : `Look at ${server.logFile} and ${join(server.dataDir, 'postgresql.auto.conf')}.`,
    );
  }
}
