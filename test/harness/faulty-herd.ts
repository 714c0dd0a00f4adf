import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { limits } from '../../src/core/limits.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { drawPort, type HerdServers, startHerdServers } from './postgres.ts';

/** A herd to be broken: a proxy before each server, and the router in a process of its own. */
export interface FaultyHerd extends HerdServers {
  /** By the server's name. */
  readonly proxies: ReadonlyMap<string, FaultProxy>;
  readonly url: string;
  killRouter(): Promise<void>;
  startRouter(): Promise<void>;
}

export async function startFaultyHerd(nodes: number): Promise<FaultyHerd> {
  const servers = await startHerdServers({ nodes });
  const proxies = new Map<string, FaultProxy>();
  for (const [name, server] of servers.byName) proxies.set(name, await startFaultProxy(server));
  const port = await drawPort();
  const place = (name: string) => ({
    ...{ host: '127.0.0.1', port: proxies.get(name)!.port, database: 'postgres', user: 'postgres' },
  });
  const options = {
    listen: { host: '127.0.0.1', port },
    coordinator: place('coordinator'),
    nodes: servers.nodes.map(({ name }) => ({ name, ...place(name) })),
    auth: 'trust',
    addresses: {},
    defaultShardCount: 8,
    sharesHerd: false,
    maxConnectionsPerPool: limits.maxConnectionsPerPool,
  };
  let router: ChildProcess | null = null;
  const startRouter = async () => {
    const script = join(import.meta.dirname, 'router-process.ts');
    const started = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    router = started;
    await once(started.stdout, 'data');
  };
  const killRouter = async () => {
    const killed = router;
    router = null;
    if (killed === null || killed.exitCode !== null) return;
    const gone = once(killed, 'exit');
    killed.kill('SIGKILL');
    await gone;
  };
  process.once('exit', () => router?.kill('SIGKILL'));
  const stop = async () => {
    await killRouter();
    for (const proxy of proxies.values()) await proxy.stop();
    await servers.stop();
  };
  try {
    await startRouter();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...servers,
    proxies,
    url: `postgresql://postgres@127.0.0.1:${port}/postgres`,
    killRouter,
    startRouter,
    stop,
  };
}
