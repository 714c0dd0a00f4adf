import pg from 'pg';
import type { RouterOptions, RunningRouter, ServerAddress } from '../../src/cli/serve.ts';
import { startWorkers } from '../../src/cli/workers/start.ts';
import { coordinatorName } from '../../src/cluster/herd-state.ts';
import { limits } from '../../src/core/limits.ts';
import { silentLog } from '../../src/core/log.ts';
import { buildScramVerifier } from '../../src/wire/scram.ts';
import { drawPort, type HerdServers, type HerdServersOptions, startHerdServers } from './postgres.ts';

export interface TestHerd extends HerdServers {
  /** Of the router. */
  readonly url: string;
  /** Of all routers. */
  readonly urls: readonly string[];
  readonly routers: readonly RunningRouter[];
  readonly port: number;
  /** Of the HTTP listener, if one was asked for. */
  readonly httpPort: number | null;
}

export interface TestHerdOptions extends HerdServersOptions {
  /** `scram`: router and servers ask everybody for a password; that of `postgres` is `superuserPassword`. */
  readonly auth?: 'trust' | 'scram';
  /** Paths of PEM files, for clients. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** The router speaks TLS with the servers. */
  readonly serverTls?: RouterOptions['serverTls'];
  /** The first router has an HTTP listener, on a free port. */
  readonly http?: Omit<NonNullable<RouterOptions['http']>, 'host' | 'port' | 'embedded'>;
  /** As many that share the herd. Without it: one that has it for itself. */
  readonly routers?: number;
  /** Of each router, in processes of their own if there are several. */
  readonly workers?: number;
  /** So many of the servers, the last ones, are not told to the router. */
  readonly spareNodes?: number;
  /** Run when the servers are up and the router is not. */
  readonly prepare?: (servers: HerdServers) => Promise<void>;
}

export const superuserPassword = 'of the herd';

/** A whole herd for a test: servers, and a router in this very process. Empty; user `postgres`, trust unless said otherwise. */
export async function startHerd(options: TestHerdOptions = {}): Promise<TestHerd> {
  const servers = await startHerdServers(options);
  const auth = options.auth ?? 'trust';
  const login = ({ host, port }: { host: string; port: number }): ServerAddress => ({
    ...{ host, port, database: 'postgres', user: 'postgres' },
    ...(auth === 'scram' ? { password: superuserPassword } : {}),
  });
  try {
    await options.prepare?.(servers);
    if (auth === 'scram') await demandPasswords(servers);
    const routerOptions = async (place: number): Promise<RouterOptions> => ({
      listen: { host: '127.0.0.1', port: await drawPort() },
      coordinator: login(servers.coordinator),
      nodes: servers.nodes
        .slice(0, servers.nodes.length - (options.spareNodes ?? 0))
        .map((node) => ({ name: node.name, ...login(node) })),
      auth,
      ...(options.tls ? { tls: options.tls } : {}),
      ...(options.serverTls ? { serverTls: options.serverTls } : {}),
      addresses: Object.fromEntries(
        [{ name: coordinatorName, ...servers.coordinator }, ...servers.nodes].flatMap(({ name, host, port }) => [
          [name, { host, port }],
          [`${name}:5432`, { host, port }],
        ]),
      ),
      ...(options.http && place === 0
        ? { http: { ...options.http, host: '127.0.0.1', port: await drawPort(), embedded: true } }
        : {}),
      defaultShardCount: 32,
      sharesHerd: options.routers !== undefined,
      maxConnectionsPerPool: limits.maxConnectionsPerPool,
      log: silentLog,
    });
    const routers: RunningRouter[] = [];
    for (let i = 0; i < (options.routers ?? 1); i++) {
      routers.push(await startWorkers(await routerOptions(i), options.workers ?? 1));
    }
    const urls = routers.map(({ port }) => `postgresql://postgres@127.0.0.1:${port}/postgres`);
    const stop = async () => {
      await Promise.all(routers.map((router) => router.stop()));
      await servers.stop();
    };
    return { ...servers, port: routers[0]!.port, httpPort: routers[0]!.httpPort, url: urls[0]!, urls, routers, stop };
  } catch (error) {
    await servers.stop();
    throw error;
  }
}

/** The same verifier everywhere, then nobody gets in without a password. */
async function demandPasswords(servers: HerdServers): Promise<void> {
  const verifier = buildScramVerifier(superuserPassword, Buffer.from('0123456789abcdef'));
  for (const { host, port } of allServers(servers)) {
    const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
    await client.connect();
    await client.query(`ALTER ROLE postgres PASSWORD '${verifier}'`);
    const { rows } = await client.query('SHOW hba_file');
    await client.query(`COPY (SELECT 'host all all 127.0.0.1/32 scram-sha-256') TO '${rows[0].hba_file}'`);
    await client.query('SELECT pg_reload_conf()');
    await client.end();
  }
}

export function allServers({ coordinator, nodes }: HerdServers): { readonly host: string; readonly port: number }[] {
  return [coordinator, ...nodes];
}
