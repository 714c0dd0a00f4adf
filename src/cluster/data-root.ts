import { createHash } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type Account, giveTo, runAs, serverAccount } from './account.ts';
import { SetupError } from './setup-error.ts';

/** Where everything of one embedded herd lies. */
export interface DataRoot {
  readonly dir: string;
  /** Held by the supervisor while it lives. */
  readonly lockFile: string;
  readonly stateFile: string;
  /** A data directory that new servers are copied from. */
  readonly template: string;
  readonly serversDir: string;
  readonly logDir: string;
  readonly socketDir: string;
  /** Where PostgreSQL's programs are copied to when they do not run from node_modules. */
  readonly binariesDir: string;
}

const sharedRoot = '/var/lib/pgherd';

/** `./.pgherd`; for root outside of the project, whose folder the servers' account often may not enter. */
export function defaultDataDir(projectDir: string): string {
  return process.getuid?.() === 0 ? join(sharedRoot, digest(resolve(projectDir))) : join(projectDir, '.pgherd');
}

export function dataRootAt(dataDir: string): DataRoot {
  const dir = resolve(dataDir);
  return {
    dir,
    lockFile: join(dir, 'lock'),
    stateFile: join(dir, 'state.json'),
    template: join(dir, 'servers', 'template'),
    serversDir: join(dir, 'servers'),
    logDir: join(dir, 'log'),
    socketDir: shortEnough(join(dir, 'run')) ?? join(tmpdir(), `pgherd-${digest(dir)}`),
    binariesDir: process.getuid?.() === 0 ? join(sharedRoot, 'bin') : join(dir, 'bin'),
  };
}

/** sockaddr_un holds 104 bytes on macOS, 108 on Linux, the final zero included. */
const maxSocketPathBytes = 103;

function shortEnough(dir: string): string | undefined {
  return Buffer.byteLength(join(dir, '.s.PGSQL.65535.lock')) <= maxSocketPathBytes ? dir : undefined;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/** Makes the folders, and returns the account that the servers run as. */
export async function createDataRoot(root: DataRoot): Promise<Account | undefined> {
  const account = serverAccount(root.serversDir);
  try {
    const firstMade = await mkdir(root.dir, { recursive: true, mode: 0o700 });
    if (account) await openFolders(root.dir, firstMade);
    // The folder often lies in a project: its content is nobody's source.
    await writeFile(join(root.dir, '.gitignore'), '*\n');
    await mkdir(root.logDir, { recursive: true, mode: 0o700 });
    for (const dir of [root.serversDir, root.socketDir]) {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      giveTo(account, dir);
    }
  } catch (error) {
    throw new SetupError(`cannot use ${root.dir}: ${(error as Error).message}`, 'Choose another folder with --data.');
  }
  await checkReachable(root.serversDir, account);
  return account;
}

/** The servers' account must be able to pass through what root made, whatever root's umask. */
async function openFolders(dir: string, firstMade: string | undefined): Promise<void> {
  const made = dir.startsWith(`${sharedRoot}/`) ? sharedRoot : (firstMade ?? dir);
  for (let each = dir; each.length >= made.length; each = dirname(each)) await chmod(each, 0o755);
}

async function checkReachable(dir: string, account: Account | undefined): Promise<void> {
  if (!account) return;
  const result = await runAs(account, '/bin/sh', ['-c', 'cd "$1"', 'sh', dir]);
  if (result.exitCode === 0) return;
  throw new SetupError(
    `${dir} is closed to the user that PostgreSQL runs as (uid ${account.uid})`,
    `PostgreSQL does not run as root. Choose a folder that every user may enter with --data, such as ${sharedRoot}/mine.`,
  );
}
