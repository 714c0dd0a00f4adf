import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errnoCode } from './setup-error.ts';

const pollMs = 20;

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoCode(error) === 'EPERM';
  }
}

/** Sends a signal; false when there is no such process (any more). */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}

/** Waits until none of the processes lives, at most `timeoutMs`; false if some still do. */
export async function waitUntilGone(pids: readonly number[], timeoutMs: number): Promise<boolean> {
  const deadlineMs = Date.now() + timeoutMs;
  while ((await Promise.all(pids.map(isRunning))).some(Boolean)) {
    if (Date.now() >= deadlineMs) return false;
    await sleep(pollMs);
  }
  return true;
}

/** Like isAlive, but a zombie (dead, not yet reaped by its parent, as in containers without an init) is gone. */
export async function isRunning(pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !/\) [ZX] /.test(stat);
}

/**
 * Whether `pid` is a PostgreSQL server process of this data directory, and not something else that got a dead server's
 * number. Server processes keep the data directory as their working directory for life.
 */
export async function isServerProcess(pid: number, dataDir: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform === 'linux') return (await workingDirectory(pid)) === dataDir;
  const command = await promisify(execFile)('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return command.stdout.includes(dataDir);
}

/** All server processes of a data directory: after a postmaster's kill -9 its busy children outlive it. Linux only. */
export async function serverProcesses(dataDir: string): Promise<number[]> {
  if (process.platform !== 'linux') return [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const ours = await Promise.all(pids.map(async (pid) => (await workingDirectory(pid)) === dataDir));
  // A shell that someone left in that folder is no server.
  const servers = await Promise.all(
    pids.filter((_, i) => ours[i]).map(async (pid) => ({ pid, name: await commandName(pid) })),
  );
  return servers.filter(({ name }) => name === 'postgres').map(({ pid }) => pid);
}

function workingDirectory(pid: number): Promise<string> {
  return readlink(`/proc/${pid}/cwd`).catch(() => '');
}

async function commandName(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
}
