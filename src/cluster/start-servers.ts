import { join } from 'node:path';
import type { Log } from '../core/log.ts';
import type { Account } from './account.ts';
import type { Binaries } from './binaries.ts';
import type { DataRoot } from './data-root.ts';
import { keepShort } from './keep-short.ts';
import { isPortFree, nextFreePort } from './port.ts';
import { SupervisedServer } from './supervised-server.ts';

const firstServerPort = 15_432;

/** What all servers of an embedded herd have in common. */
export interface Site {
  readonly root: DataRoot;
  readonly account: Account | undefined;
  readonly binaries: Binaries;
  readonly log: Log;
}

/** Starts them all at once; if one does not start, none is left running. */
export async function startServers(
  site: Site,
  names: readonly string[],
  lastPorts: Readonly<Record<string, number>>,
): Promise<Map<string, SupervisedServer>> {
  const ports = await choosePorts(names, lastPorts);
  const attempts = await Promise.allSettled(names.map((name) => startSupervised(site, name, ports)));
  const servers = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
  const failed = attempts.find((attempt) => attempt.status === 'rejected');
  if (failed) {
    await Promise.all(servers.map((server) => server.stop()));
    throw failed.reason;
  }
  return new Map(servers.map((server) => [server.spec.name, server]));
}

/** The ports of last time where they are free still, the next free ones for the rest. */
async function choosePorts(
  names: readonly string[],
  lastPorts: Readonly<Record<string, number>>,
): Promise<Map<string, number>> {
  const chosen = new Map<string, number>();
  for (const name of names) {
    const last = lastPorts[name];
    if (last !== undefined && (await isPortFree(last))) chosen.set(name, last);
  }
  for (const name of names) {
    if (!chosen.has(name)) chosen.set(name, await nextFreePort(firstServerPort, new Set(chosen.values())));
  }
  return chosen;
}

const maxPortTries = 5;

async function startSupervised(site: Site, name: string, ports: Map<string, number>): Promise<SupervisedServer> {
  for (let tries = 1; ; tries++) {
    const server = new SupervisedServer(await specOf(site, name, ports.get(name)!), site.log);
    try {
      await server.start();
      return server;
    } catch (error) {
      // Somebody took the port since it was chosen.
      if (tries === maxPortTries || (await isPortFree(server.spec.port))) throw error;
      ports.set(name, await nextFreePort(server.spec.port + 1, new Set(ports.values())));
    }
  }
}

async function specOf({ root, account, binaries }: Site, name: string, port: number) {
  const logFile = join(root.logDir, `${name}.log`);
  await keepShort(logFile);
  return { name, binaries, account, port, logFile, dataDir: join(root.serversDir, name), socketDir: root.socketDir };
}
