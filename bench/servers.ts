import { execFile } from 'node:child_process';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import type { HerdStatus } from '../src/cli/status.ts';
import { giveTo, serverAccount } from '../src/cluster/account.ts';
import { locateBinaries } from '../src/cluster/binaries.ts';
import { herdSettings, initServer, isDataDirectory } from '../src/cluster/data-directory.ts';
import { dataRootAt } from '../src/cluster/data-root.ts';
import { nextFreePort } from '../src/cluster/port.ts';
import { startServer } from '../src/cluster/server.ts';
import { connectRaw } from '../test/oracle/client.ts';

/** Both sides of the comparison, running. */
export interface BenchServers {
  readonly plainUrl: string;
  readonly herdUrl: string;
  /** Every PostgreSQL server, by what it is called. */
  readonly servers: readonly { readonly name: string; readonly url: string }[];
  /** The herd's process. */
  readonly herdPid: number;
  stop(): Promise<void>;
}

export interface HerdFlags {
  readonly nodes: number;
  /** For `node` itself, and for `pgherd up`. */
  readonly nodeFlags?: readonly string[];
  readonly upFlags?: readonly string[];
}

/** The herd runs as a user would start it, in a process of its own, from what was built. */
export async function startServers(
  dir: string,
  { nodes, nodeFlags = [], upFlags = [] }: HerdFlags,
): Promise<BenchServers> {
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o755);
  const herdDir = join(dir, 'herd');
  const plain = await startPlain(join(dir, 'plain'));
  const stop = async () => {
    await pgherd('down', '--data', herdDir).catch(() => undefined);
    await plain.stop();
  };
  try {
    const port = await nextFreePort(21_000);
    const up = ['up', '--detach', '--data', herdDir, '--nodes', String(nodes), '--port', String(port), ...upFlags];
    await run([...nodeFlags, cli, ...up]);
    const status: HerdStatus = JSON.parse(await pgherd('status', '--json', '--data', herdDir));
    const plainUrl = urlOf(plain.spec.port);
    const parts = [status.coordinator, ...status.nodes].map(({ name, port }) => ({ name, url: urlOf(port!) }));
    const servers = [{ name: 'plain', url: plainUrl }, ...parts];
    return { plainUrl, herdUrl: status.url!, servers, herdPid: status.pid!, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startPlain(dir: string) {
  await mkdir(dir, { recursive: true });
  const account = serverAccount();
  giveTo(account, dir);
  const binaries = await locateBinaries({ account, copyTo: dataRootAt(dir).binariesDir });
  const dataDir = join(dir, 'data');
  if (!(await isDataDirectory(dataDir))) await initServer(binaries, account, dataDir, herdSettings);
  const port = await nextFreePort(22_000);
  const { socketDir } = dataRootAt(dir);
  await mkdir(socketDir, { recursive: true });
  giveTo(account, socketDir);
  return startServer({ name: 'plain', binaries, account, dataDir, socketDir, logFile: join(dir, 'log'), port });
}

const cli = join(import.meta.dirname, '..', 'dist', 'cli', 'main.js');

const pgherd = (...args: string[]) => run([cli, ...args]);

async function run(args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, args, { encoding: 'utf8' });
  return stdout;
}

const urlOf = (port: number) => `postgresql://postgres@127.0.0.1:${port}/postgres`;

/** Settings apply to new sessions; those that need a restart are refused. */
export async function applySettings(
  servers: BenchServers['servers'],
  settings: readonly (readonly [string, string])[],
): Promise<void> {
  for (const { url } of servers) {
    const client = await connectRaw(url);
    try {
      await client.query('ALTER SYSTEM RESET ALL');
      for (const [name, value] of settings) {
        await client.query(`ALTER SYSTEM SET ${pg.escapeIdentifier(name)} = ${pg.escapeLiteral(value)}`);
      }
      await client.query('SELECT pg_reload_conf()');
      const { rows } = await client.query('SELECT name FROM pg_settings WHERE pending_restart');
      if (rows.length > 0) throw new Error(`${rows[0].name} would need a restart of the servers`);
    } finally {
      await client.end();
    }
  }
}
