import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Binaries } from './binaries.ts';
import {
  copyServer,
  dataDirectoryMajor,
  herdSettings,
  initServer,
  isDataDirectory,
  type ServerSettings,
  syncServer,
} from './data-directory.ts';
import { coordinatorName } from './herd-state.ts';
import { SetupError } from './setup-error.ts';
import type { Site } from './start-servers.ts';

/** Makes the data directories that are missing among `names`: initdb once, then copies of what it made. */
export async function makeServers(
  site: Site,
  names: readonly string[],
  onProgress: (message: string) => void,
): Promise<void> {
  const { root, account, binaries } = site;
  const missing: string[] = [];
  for (const name of names) {
    const dir = join(root.serversDir, name);
    if (await isDataDirectory(dir)) await checkMajor(dir, binaries);
    else missing.push(name);
  }
  if (missing.length === 0) return;
  if (!(await isDataDirectory(root.template)) || (await dataDirectoryMajor(root.template)) !== binaries.major) {
    onProgress(`making a data directory (PostgreSQL ${binaries.major})`);
    await rm(root.template, { recursive: true, force: true });
    await initServer(binaries, account, root.template, herdSettings);
  }
  onProgress(`copying it to ${missing.join(', ')}`);
  await Promise.all(
    missing.map(async (name) => {
      const dir = join(root.serversDir, name);
      await copyServer(account, root.template, dir, settingsOf(name));
      await syncServer(binaries, account, dir);
    }),
  );
}

const settingsOf = (name: string): ServerSettings =>
  // Sessions with state of their own (temporary tables, LISTEN) each hold a connection to the coordinator.
  name === coordinatorName ? { max_connections: 400 } : {};

async function checkMajor(dir: string, binaries: Binaries): Promise<void> {
  const major = await dataDirectoryMajor(dir);
  if (major === binaries.major) return;
  throw new SetupError(
    `${dir} was written by PostgreSQL ${major}; this pgherd brings ${binaries.major}`,
    'Dump with the pgherd that made it and restore into a new folder (--data).',
  );
}
