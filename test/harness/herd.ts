import { type ServerAddress, startRouter } from '../../src/cli/serve.ts';
import { coordinatorName } from '../../src/cluster/herd-state.ts';
import { limits } from '../../src/core/limits.ts';
import { silentLog } from '../../src/core/log.ts';
import { drawPort, type HerdServers, type HerdServersOptions, startHerdServers } from './postgres.ts';

export interface TestHerd extends HerdServers {
  /** Of the router. */
  readonly url: string;
  readonly port: number;
}

/** A whole herd for a test: servers, and a router in this very process. Empty; user `postgres`, trust. */
export async function startHerd(options: HerdServersOptions = {}): Promise<TestHerd> {
  const servers = await startHerdServers(options);
  try {
    const router = await startRouter({
      listen: { host: '127.0.0.1', port: await drawPort() },
      coordinator: login(servers.coordinator),
      nodes: servers.nodes.map((node) => ({ name: node.name, ...login(node) })),
      auth: 'trust',
      addresses: Object.fromEntries(
        [{ name: coordinatorName, ...servers.coordinator }, ...servers.nodes].flatMap(({ name, host, port }) => [
          [name, { host, port }],
          [`${name}:5432`, { host, port }],
        ]),
      ),
      defaultShardCount: 32,
      maxConnectionsPerPool: limits.maxConnectionsPerPool,
      log: silentLog,
    });
    const stop = async () => {
      await router.stop();
      await servers.stop();
    };
    return { ...servers, port: router.port, url: `postgresql://postgres@127.0.0.1:${router.port}/postgres`, stop };
  } catch (error) {
    await servers.stop();
    throw error;
  }
}

const login = ({ host, port }: { host: string; port: number }): ServerAddress => ({
  host,
  port,
  database: 'postgres',
  user: 'postgres',
});
