import { appendFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type Account, giveTo, runAs } from './account.ts';
import type { Binaries } from './binaries.ts';
import { SetupError } from './setup-error.ts';

/** Settings for postgresql.conf. They go there and not on the command line, where they would override ALTER SYSTEM. */
export type ServerSettings = Readonly<Record<string, string | number>>;

/** What a server of a herd needs beyond PostgreSQL's defaults. */
export const herdSettings: ServerSettings = {
  max_connections: 200,
  max_prepared_transactions: 200,
  // A statement over a table of 64 leaves locks each leaf and its indexes.
  max_locks_per_transaction: 256,
  shared_preload_libraries: 'pg_stat_statements',
  // Shards move between servers by logical replication.
  wal_level: 'logical',
  max_wal_senders: 32,
  max_replication_slots: 32,
  max_worker_processes: 32,
  max_logical_replication_workers: 16,
  logging_collector: 'off',
  log_destination: 'stderr',
  log_line_prefix: '%m [%p] %q%u@%d %a ',
  log_min_messages: 'warning',
  log_checkpoints: 'off',
  log_lock_waits: 'on',
  // Their data are on local disks, mostly in memory; and a look-up by another column than the key asks each leaf's index.
  random_page_cost: 1.1,
};

export async function isDataDirectory(dir: string): Promise<boolean> {
  return stat(join(dir, 'PG_VERSION')).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** The major version of PostgreSQL that wrote the directory. */
export async function dataDirectoryMajor(dir: string): Promise<number> {
  return Number.parseInt(await readFile(join(dir, 'PG_VERSION'), 'utf8'), 10);
}

/**
 * Makes a data directory with initdb (1-3 s): superuser `postgres`, trust on loopback and the unix socket, UTF8.
 * It appears under its name only when it is whole, so a killed initdb leaves nothing that looks ready.
 */
export async function initServer(
  binaries: Binaries,
  account: Account | undefined,
  dir: string,
  settings: ServerSettings,
): Promise<void> {
  checkUserName(account);
  const draft = await emptyDraft(dir, account);
  const args = ['--pgdata', draft, '--username=postgres', '--auth=trust', '--encoding=UTF8', '--no-sync'];
  let result = await runAs(account, binaries.initdb, [...args, ...localeArguments(binaries.major)]);
  if (result.exitCode !== 0 && binaries.major < 17) {
    // Not every machine's C library knows C.UTF-8; C orders alike, but upper('é') stays 'é'.
    await emptyDraft(dir, account);
    result = await runAs(account, binaries.initdb, [...args, '--locale=C']);
  }
  if (result.exitCode !== 0) {
    await rm(draft, { recursive: true, force: true });
    throw new SetupError(`initdb could not make ${dir}:\n${result.output.trim()}`, diskHint);
  }
  await addSettings(draft, settings);
  await rename(draft, dir);
}

/** initdb wants to know its user's name, which containers that run under a bare number lack. */
function checkUserName(account: Account | undefined): void {
  if (account) return;
  try {
    userInfo();
  } catch {
    throw new SetupError(
      `user id ${process.getuid?.()} has no name, and PostgreSQL's initdb insists on one`,
      'Add a line for it to /etc/passwd, or run as another user (root will do).',
    );
  }
}

const diskHint = 'Check that the disk has room and the folder may be written, or choose another with --data.';

/** From 17 on PostgreSQL has a C.UTF-8 of its own: the same order on every machine, comparable byte by byte. */
function localeArguments(major: number): string[] {
  return major >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'] : ['--locale=C.UTF-8'];
}

/** Copies a stopped server's directory (0.2-0.3 s; blocks are shared where the file system can). */
export async function copyServer(
  account: Account | undefined,
  template: string,
  dir: string,
  settings: ServerSettings = {},
): Promise<void> {
  const draft = await emptyDraft(dir, account);
  const reflink = process.platform === 'linux' ? ['--reflink=auto'] : [];
  const result = await runAs(account, 'cp', ['-a', ...reflink, `${template}/.`, draft]);
  if (result.exitCode !== 0) {
    await rm(draft, { recursive: true, force: true });
    throw new SetupError(`could not copy ${template} to ${dir}:\n${result.output.trim()}`, diskHint);
  }
  await addSettings(draft, settings);
  await rename(draft, dir);
}

/** Makes a new data directory durable against loss of power (initdb and cp leave it in the page cache). */
export async function syncServer(binaries: Binaries, account: Account | undefined, dir: string): Promise<void> {
  await runAs(account, binaries.initdb, ['--sync-only', '--pgdata', dir]);
}

async function addSettings(dir: string, settings: ServerSettings): Promise<void> {
  if (Object.keys(settings).length === 0) return;
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`);
  await appendFile(join(dir, 'postgresql.conf'), `\n# pgherd\n${lines.join('')}`);
}

const draftPrefix = '.draft-';

/** What killed runs left half made. Only for whoever alone may write in `parent`. */
export async function removeDrafts(parent: string): Promise<void> {
  const drafts = (await readdir(parent)).filter((name) => name.startsWith(draftPrefix));
  await Promise.all(drafts.map((name) => rm(join(parent, name), { recursive: true, force: true })));
}

async function emptyDraft(dir: string, account: Account | undefined): Promise<string> {
  const draft = join(dirname(dir), `${draftPrefix}${process.pid}-${basename(dir)}`);
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true, mode: 0o700 });
  giveTo(account, draft);
  return draft;
}
