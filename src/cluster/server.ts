import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Account, spawnOptions } from './account.ts';
import type { Binaries } from './binaries.ts';
import { isServerProcess, serverProcesses, signal, waitUntilGone } from './process.ts';
import { SetupError } from './setup-error.ts';

export interface ServerSpec {
  /** `coordinator`, `worker1`, …: shown in the process list (cluster_name). */
  readonly name: string;
  readonly binaries: Binaries;
  readonly account: Account | undefined;
  readonly dataDir: string;
  /** Where the unix socket is put; its path with the socket's name must stay under 104 bytes. */
  readonly socketDir: string;
  /** Standard error is appended here. */
  readonly logFile: string;
  readonly port: number;
}

/**
 * `fast` ends sessions and writes a checkpoint, `immediate` leaves recovery to the next start.
 */
export type StopMode = 'fast' | 'immediate';

export interface RunningServer {
  readonly spec: ServerSpec;
  readonly pid: number;
  /** Settles when the postmaster has ended, for whatever reason. */
  readonly exited: Promise<string>;
  /** Resolves when it has ended; a server that does not obey is forced. */
  stop(mode?: StopMode): Promise<void>;
}

const readyPollMs = 10;
/** Crash recovery replays WAL since the last checkpoint: seconds, or minutes on a slow disk. */
const startWaitMs = 300_000;
const fastStopWaitMs = 30_000;
const immediateStopWaitMs = 10_000;

/** Starts one server and waits until it takes connections. What a dead supervisor left running there is stopped first. */
export async function startServer(spec: ServerSpec): Promise<RunningServer> {
  await stopOrphans(spec.dataDir);
  await removeStaleFiles(spec);
  const child = spawnPostgres(spec);
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, by) => resolve(by === null ? `exit code ${code}` : `signal ${by}`));
  });
  await untilReady(spec, child, exited);
  const pid = child.pid!;
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    spec,
    pid,
    exited,
    // Once it has ended its number may be anybody's.
    stop: async (mode = 'fast') => (hasEnded() ? undefined : stopPostmaster(pid, spec.dataDir, mode)),
  };
}

/** Stops whatever server still runs on a data directory; a server that nobody supervises any more is found this way. */
export async function stopOrphans(dataDir: string): Promise<boolean> {
  const dir = await realpath(dataDir).catch(() => dataDir);
  const pid = await postmasterPid(dir);
  if (pid !== undefined && (await isServerProcess(pid, dir))) {
    await stopPostmaster(pid, dir, 'fast');
    return true;
  }
  return stopStrays(dir);
}

/** Whether a server runs on the directory, whoever started it. */
export async function isServerRunning(dataDir: string): Promise<boolean> {
  const dir = await realpath(dataDir).catch(() => dataDir);
  const pid = await postmasterPid(dir);
  return pid !== undefined && (await isServerProcess(pid, dir));
}

/** The number in postmaster.pid, whether or not it still belongs to a server. */
async function postmasterPid(dataDir: string): Promise<number | undefined> {
  const pid = Number((await postmasterFile(dataDir))[0]);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

async function postmasterFile(dataDir: string): Promise<string[]> {
  return (await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
}

/** No server of this directory runs: a lock file whose number another process has by now would keep ours from starting. */
async function removeStaleFiles(spec: ServerSpec): Promise<void> {
  const socket = join(spec.socketDir, `.s.PGSQL.${spec.port}`);
  await Promise.all(
    [join(spec.dataDir, 'postmaster.pid'), socket, `${socket}.lock`].map((path) => rm(path, { force: true })),
  );
}

function spawnPostgres(spec: ServerSpec): ChildProcess {
  const log = openSync(spec.logFile, 'a', 0o600);
  try {
    const child = spawn(spec.binaries.postgres, serverArguments(spec), {
      ...spawnOptions(spec.account, spec.dataDir),
      // Its own session: Ctrl-C in the terminal reaches the supervisor only, which stops servers in order.
      detached: true,
      stdio: ['ignore', log, log],
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/** Only what differs between servers of the same template, and must not be changed by ALTER SYSTEM. */
function serverArguments(spec: ServerSpec): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: spec.port,
    unix_socket_directories: spec.socketDir,
    cluster_name: spec.name,
  };
  return ['-D', spec.dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

/** A postmaster writes its state to the eighth line of postmaster.pid (miscadmin.h, LOCK_FILE_LINE_PM_STATUS). */
async function untilReady(spec: ServerSpec, child: ChildProcess, exited: Promise<string>): Promise<void> {
  let end: string | undefined;
  void exited.then((reason) => {
    end = reason;
  });
  const deadlineMs = Date.now() + startWaitMs;
  while (end === undefined && Date.now() < deadlineMs) {
    const lines = await postmasterFile(spec.dataDir);
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return;
    await sleep(readyPollMs);
  }
  if (end === undefined && child.pid !== undefined) await stopPostmaster(child.pid, spec.dataDir, 'immediate');
  throw new SetupError(
    `${spec.name} did not start (${end ?? `not ready within ${startWaitMs / 1000} s`}):\n${await tail(spec.logFile)}`,
    `See ${spec.logFile}.`,
  );
}

async function tail(file: string): Promise<string> {
  const lines = (await readFile(file, 'utf8').catch(() => '')).trimEnd().split('\n');
  return lines.slice(-5).join('\n');
}

async function stopPostmaster(pid: number, dataDir: string, mode: StopMode): Promise<void> {
  const dir = await realpath(dataDir).catch(() => dataDir);
  if (mode === 'fast' && signal(pid, 'SIGINT') && (await waitUntilGone([pid], fastStopWaitMs))) return;
  if (signal(pid, 'SIGQUIT') && (await waitUntilGone([pid], immediateStopWaitMs))) return;
  signal(pid, 'SIGKILL');
  await waitUntilGone([pid], immediateStopWaitMs);
  await stopStrays(dir);
}

/** Children of a killed postmaster hold its shared memory, and a new postmaster refuses to start beside them. */
async function stopStrays(dataDir: string): Promise<boolean> {
  const pids = await serverProcesses(dataDir);
  if (pids.length === 0) return false;
  for (const pid of pids) signal(pid, 'SIGQUIT');
  if (!(await waitUntilGone(pids, immediateStopWaitMs))) {
    for (const pid of pids) signal(pid, 'SIGKILL');
    await waitUntilGone(pids, immediateStopWaitMs);
  }
  return true;
}
