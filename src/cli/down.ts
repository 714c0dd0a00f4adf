import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { dataRootAt } from '../cluster/data-root.ts';
import { lockHolder } from '../cluster/lock.ts';
import { signal, waitUntilGone } from '../cluster/process.ts';
import { stopOrphans } from '../cluster/server.ts';
import { SetupError } from '../cluster/setup-error.ts';

/** A supervisor gives its servers 30 s to end their sessions, and forces them after that. */
const supervisorWaitMs = 60_000;

/** Stops the herd of a folder, and servers that a killed supervisor left. True if anything ran. */
export async function down(dataDir: string): Promise<boolean> {
  const root = dataRootAt(dataDir);
  const pid = await lockHolder(root.lockFile);
  if (pid !== undefined) await stopSupervisor(pid);
  const names = await readdir(root.serversDir).catch(() => []);
  const orphans = await Promise.all(names.map((name) => stopOrphans(join(root.serversDir, name))));
  return pid !== undefined || orphans.some(Boolean);
}

async function stopSupervisor(pid: number): Promise<void> {
  if (!signal(pid, 'SIGTERM') && !(await waitUntilGone([pid], 0))) {
    throw new SetupError(`process ${pid} belongs to another user`, 'Run pgherd down as the user who started the herd.');
  }
  if (await waitUntilGone([pid], supervisorWaitMs)) return;
  signal(pid, 'SIGKILL');
  await waitUntilGone([pid], supervisorWaitMs);
}
