import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../core/log.ts';
import type { Account } from './account.ts';
import { locateBinaries } from './binaries.ts';
import { removeDrafts } from './data-directory.ts';
import { createDataRoot, type DataRoot, dataRootAt } from './data-root.ts';
import {
  coordinatorName,
  type HerdState,
  nodeNames,
  readHerdState,
  serverNames,
  writeHerdState,
} from './herd-state.ts';
import { acquireLock, type Lock } from './lock.ts';
import { makeServers } from './make-servers.ts';
import { type StopMode, stopOrphans } from './server.ts';
import { SetupError } from './setup-error.ts';
import { type Site, startServers } from './start-servers.ts';
import type { SupervisedServer } from './supervised-server.ts';

export interface HerdOptions {
  readonly dataDir: string;
  /** The number of nodes; undefined: as many as there are, 3 in a new herd. */
  readonly nodes: number | undefined;
  readonly log: Log;
  /** What is being done, in words for whoever waits. */
  readonly onProgress: (message: string) => void;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface EmbeddedHerd {
  readonly root: DataRoot;
  readonly coordinator: Endpoint;
  readonly nodes: readonly (Endpoint & { readonly name: string })[];
  /** The port that the router had last time, if there was one. */
  readonly lastRouterPort: number | undefined;
  rememberPorts(ports: { readonly routerPort: number; readonly httpPort: number | null }): Promise<void>;
  /** Stops one server (`coordinator`, `worker1`, …) and starts it again on its port. */
  restartServer(name: string, mode?: StopMode): Promise<void>;
  /** Whoever starts a herd on the same folder from now on waits for this one's end. */
  announceStop(): Promise<void>;
  stop(mode?: StopMode): Promise<void>;
}

const defaultNodes = 3;
const maxNodes = 128;
const host = '127.0.0.1';

/**
 * Starts the servers of an embedded herd, which it makes when there is none. Whatever an earlier supervisor left behind
 * (lock, half-made folders, running servers) is cleared first. Servers that end are started again until `stop`.
 */
export async function openEmbeddedHerd(options: HerdOptions): Promise<EmbeddedHerd> {
  const root = dataRootAt(options.dataDir);
  const account = await createDataRoot(root);
  const lock = await takeLock(root, options.onProgress);
  try {
    return await openLocked({ ...options, root, account, lock });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

const lockPollMs = 100;
/** For a supervisor that is being told to stop at this moment. */
const lockWaitMs = 1_500;
const stoppingWaitMs = 60_000;

async function takeLock(root: DataRoot, onProgress: HerdOptions['onProgress']): Promise<Lock> {
  const sinceMs = Date.now();
  for (let announced = false; ; ) {
    const attempt = await acquireLock(root.lockFile);
    if (attempt.kind === 'held') return attempt.lock;
    if (Date.now() - sinceMs > (attempt.stopping ? stoppingWaitMs : lockWaitMs)) {
      throw new SetupError(
        `a herd already runs on ${root.dir} (process ${attempt.pid})`,
        'Use it (pgherd status), stop it (pgherd down), or choose another folder with --data.',
      );
    }
    if (attempt.stopping && !announced) onProgress(`waiting for process ${attempt.pid} to stop`);
    announced ||= attempt.stopping;
    await sleep(lockPollMs);
  }
}

interface Opening extends HerdOptions {
  readonly root: DataRoot;
  readonly account: Account | undefined;
  readonly lock: Lock;
}

async function openLocked(opening: Opening): Promise<EmbeddedHerd> {
  const { root, account, log, onProgress } = opening;
  const earlier = await readHerdState(root.stateFile);
  const nodes = await nodeCount(opening, earlier);
  const names = serverNames(nodes);
  const binaries = await locateBinaries({ account, copyTo: root.binariesDir });
  await stopAllOrphans(opening);
  await removeDrafts(root.serversDir);
  // Before the first server is made: a first start that is killed half-way resumes with the size asked for.
  await writeHerdState(root.stateFile, { serverPorts: {}, ...earlier, nodes });
  const site: Site = { root, account, binaries, log };
  await makeServers(site, names, onProgress);

  onProgress(`starting ${names.length} servers`);
  const servers = await startServers(site, names, earlier?.serverPorts ?? {});
  const state: HerdState = { ...earlier, nodes, serverPorts: portsOf(servers) };
  await writeHerdState(root.stateFile, state);
  return herdOf(opening, servers, state);
}

function herdOf(opening: Opening, servers: ReadonlyMap<string, SupervisedServer>, state: HerdState): EmbeddedHerd {
  const endpoint = (name: string): Endpoint => ({ host, port: servers.get(name)!.spec.port });
  return {
    root: opening.root,
    coordinator: endpoint(coordinatorName),
    nodes: nodeNames(state.nodes).map((name) => ({ name, ...endpoint(name) })),
    lastRouterPort: state.routerPort,
    rememberPorts: (ports) => writeHerdState(opening.root.stateFile, { ...state, ...ports }),
    restartServer: async (name, mode = 'fast') => {
      const server = servers.get(name);
      if (!server) throw new SetupError(`there is no server "${name}"`, `There are ${[...servers.keys()].join(', ')}.`);
      await server.restart(mode);
    },
    announceStop: () => opening.lock.markStopping(),
    stop: async (mode = 'fast') => {
      await Promise.all([...servers.values()].map((server) => server.stop(mode)));
      await opening.lock.release();
    },
  };
}

/** A herd only grows here: a node that goes away would take its rows along. */
async function nodeCount({ nodes, root }: Opening, earlier: HerdState | undefined): Promise<number> {
  if (nodes !== undefined && !(Number.isInteger(nodes) && nodes >= 1 && nodes <= maxNodes)) {
    throw new SetupError(`--nodes must be a whole number from 1 to ${maxNodes}`, 'Leave it out for 3.');
  }
  const made = (await readdir(root.serversDir)).filter((name) => /^worker\d+$/.test(name)).length;
  const existing = Math.max(made, earlier?.nodes ?? 0);
  if (nodes === undefined) return existing || defaultNodes;
  if (nodes < existing) {
    throw new SetupError(
      `the herd in ${root.dir} has ${existing} nodes and cannot start with ${nodes}: the others hold rows`,
      `Start it without --nodes, or start a new herd in another folder with --data.`,
    );
  }
  return nodes;
}

/** Frees data directories and ports of servers that outlived their supervisor. */
async function stopAllOrphans({ root, log }: Opening): Promise<void> {
  const names = await readdir(root.serversDir);
  await Promise.all(
    names.map(async (name) => {
      if (await stopOrphans(join(root.serversDir, name))) log.warn({ server: name }, 'stopped a server left running');
    }),
  );
}

function portsOf(servers: ReadonlyMap<string, SupervisedServer>): Record<string, number> {
  return Object.fromEntries([...servers].map(([name, server]) => [name, server.spec.port]));
}
