import { execFile } from 'node:child_process';
import { appendFile, link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isRunning } from './process.ts';
import { errnoCode } from './setup-error.ts';

export interface Lock {
  /** Tells whoever wants the lock that it is about to be free. */
  markStopping(): Promise<void>;
  release(): Promise<void>;
}

export type LockAttempt =
  | { readonly kind: 'held'; readonly lock: Lock }
  | { readonly kind: 'taken'; readonly pid: number; readonly stopping: boolean };

const stoppingMark = 'stopping';

/**
 * Takes a lock file for this process: a line that names the process for good, and a second one once it is stopping.
 * A lock whose process is dead (or whose number another process has now) is taken over.
 */
export async function acquireLock(file: string): Promise<LockAttempt> {
  const mine = `${process.pid} ${await birth(process.pid)}`;
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, `${mine}\n`, { mode: 0o644 });
  try {
    for (;;) {
      // A link appears with its content or not at all: nobody reads a half-written lock.
      if (await linked(draft, file)) return { kind: 'held', lock: lockOf(file, mine) };
      const content = await readFile(file, 'utf8').catch(() => '');
      const pid = await livingOwner(content);
      if (pid !== undefined) return { kind: 'taken', pid, stopping: content.includes(`\n${stoppingMark}`) };
      await removeStale(file, content);
    }
  } finally {
    await rm(draft, { force: true });
  }
}

function lockOf(file: string, mine: string): Lock {
  const isMine = async () => (await readFile(file, 'utf8').catch(() => '')).startsWith(`${mine}\n`);
  return {
    async markStopping() {
      if (await isMine()) await appendFile(file, `${stoppingMark}\n`);
    },
    async release() {
      if (await isMine()) await rm(file, { force: true });
    },
  };
}

/** The process that holds the lock, if it lives. */
export async function lockHolder(file: string): Promise<number | undefined> {
  try {
    return await livingOwner(await readFile(file, 'utf8'));
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

async function linked(draft: string, file: string): Promise<boolean> {
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if (errnoCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function livingOwner(content: string): Promise<number | undefined> {
  const [first = '', ...rest] = content.split('\n', 1)[0]!.split(' ');
  const pid = Number(first);
  if (!Number.isInteger(pid) || pid <= 0 || !(await isRunning(pid))) return undefined;
  return (await birth(pid)) === rest.join(' ') ? pid : undefined;
}

/** Two that find the same stale lock both come here: the loser may move the winner's fresh lock, and puts it back. */
async function removeStale(file: string, stale: string): Promise<void> {
  const aside = `${file}.stale.${process.pid}`;
  await rename(file, aside).catch(() => undefined);
  const moved = await readFile(aside, 'utf8').catch(() => stale);
  if (moved !== stale) await linked(aside, file);
  await rm(aside, { force: true });
}

/** When a process began, in whatever unit the system tells: with its number it names a process for good. */
async function birth(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // Field 22, counted from behind the command's name, which may hold spaces and brackets.
  if (stat !== undefined) return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  const ps = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return ps.stdout.trim();
}
