import { type SpawnOptions, spawn } from 'node:child_process';
import { chownSync, readFileSync, statSync } from 'node:fs';
import { SetupError } from './setup-error.ts';

/** The operating-system user that servers run as; `undefined` wherever it occurs means: whoever runs pgherd. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root. As root, the servers get the account that owns `existing` (a data directory made
 * earlier), else `postgres`, else `nobody`: initdb looks its user's name up, so a bare number does not do.
 */
export function serverAccount(existing?: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const owner = existing === undefined ? undefined : statSync(existing, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const account = lookUp('postgres') ?? lookUp('nobody');
  if (!account) {
    throw new SetupError(
      'PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it as',
      'Create one (useradd --system postgres), or start pgherd as an ordinary user.',
    );
  }
  return account;
}

function lookUp(user: string): Account | undefined {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name === user && uid && gid) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

export function giveTo(account: Account | undefined, path: string): void {
  if (account) chownSync(path, account.uid, account.gid);
}

/** Options for a child process under `account`. Its environment is small and fixed: no PG* variable reaches a server. */
export function spawnOptions(account: Account | undefined, cwd: string): SpawnOptions {
  const { PATH = '/usr/bin:/bin', TZ } = process.env;
  return { cwd, env: { PATH, LC_ALL: 'C', ...(TZ ? { TZ } : {}) }, ...account };
}

export interface CommandResult {
  /** 0 on success; undefined when it could not be started or died by a signal. */
  readonly exitCode: number | undefined;
  /** What it wrote, both streams in order of arrival. */
  readonly output: string;
}

/** Runs a command under `account` to its end, Ctrl-C in the terminal notwithstanding; never rejects. */
export function runAs(account: Account | undefined, file: string, args: readonly string[]): Promise<CommandResult> {
  return new Promise((resolve) => {
    let output = '';
    const child = spawn(file, args, {
      ...spawnOptions(account, '/'),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    child.on('error', (error) => resolve({ exitCode: undefined, output: output + error.message }));
    child.on('close', (code) => resolve({ exitCode: code ?? undefined, output }));
  });
}
