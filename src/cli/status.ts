import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type DataRoot, dataRootAt } from '../cluster/data-root.ts';
import { readHerdState, serverNames } from '../cluster/herd-state.ts';
import { lockHolder } from '../cluster/lock.ts';
import { probe } from '../cluster/probe.ts';
import { isServerRunning } from '../cluster/server.ts';
import { errnoCode, SetupError } from '../cluster/setup-error.ts';
import { colour } from './colours.ts';
import { host } from './herd-report.ts';
import { connectionUrl, httpUrl, psqlLine } from './terminal.ts';

/** `running` answers queries, `starting` lives and takes nobody (starting, recovering, stopping), `stopped` does not live. */
export type PartState = 'running' | 'starting' | 'stopped';

export interface Part {
  readonly name: string;
  readonly host: string;
  /** Null when it never had one. */
  readonly port: number | null;
  readonly state: PartState;
}

export interface HerdStatus {
  /** `running` when all parts are, `stopped` when none is, else `degraded`. */
  readonly state: 'running' | 'degraded' | 'stopped';
  readonly dataDir: string;
  /** The process that supervises the herd. */
  readonly pid: number | null;
  readonly url: string | null;
  readonly dashboard: string | null;
  readonly router: Part;
  readonly coordinator: Part;
  readonly nodes: readonly Part[];
}

export async function herdStatus(dataDir: string): Promise<HerdStatus> {
  const root = dataRootAt(dataDir);
  await checkHerd(root);
  const [pid, state] = await Promise.all([lockHolder(root.lockFile), readHerdState(root.stateFile)]);
  const [router, coordinator, ...nodes] = await Promise.all([
    part('router', state?.routerPort, async () => pid !== undefined),
    ...serverNames(state?.nodes ?? 0).map((name) =>
      part(name, state?.serverPorts[name], () => isServerRunning(join(root.serversDir, name))),
    ),
  ]);
  const parts = [router, coordinator!, ...nodes];
  return {
    state: summary(parts),
    dataDir: root.dir,
    pid: pid ?? null,
    url: router.port === null ? null : connectionUrl(router.port),
    dashboard: pid === undefined || state?.httpPort == null ? null : httpUrl(state.httpPort),
    router,
    coordinator: coordinator!,
    nodes,
  };
}

async function checkHerd(root: DataRoot): Promise<void> {
  try {
    await readdir(root.serversDir);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ENOTDIR') {
      throw new SetupError(
        `there is no herd in ${root.dir}`,
        'Make one with pgherd up, or name its folder with --data.',
      );
    }
    throw new SetupError(
      `cannot read ${root.dir}: ${(error as Error).message}`,
      'Ask as the user who started the herd.',
    );
  }
}

/** What is not known to live is not asked: its port may be somebody else's by now. */
async function part(name: string, port: number | undefined, lives: () => Promise<boolean>): Promise<Part> {
  if (port === undefined) return { name, host, port: null, state: 'stopped' };
  if (!(await lives())) return { name, host, port, state: 'stopped' };
  const health = await probe(host, port);
  return { name, host, port, state: health.kind === 'running' ? 'running' : 'starting' };
}

function summary(parts: readonly Part[]): HerdStatus['state'] {
  if (parts.every((each) => each.state === 'running')) return 'running';
  return parts.every((each) => each.state === 'stopped') ? 'stopped' : 'degraded';
}

const stateColours = { running: 'green', starting: 'yellow', stopped: 'red' } as const;

export function describeStatus(status: HerdStatus): string {
  const rows = [status.router, status.coordinator, ...status.nodes].map((each) => [
    each.name,
    each.port === null ? '-' : `${each.host}:${each.port}`,
    each.state,
  ]);
  const widths = [0, 1].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
  const table = rows.map(
    ([name, address, state]) =>
      `  ${name!.padEnd(widths[0]!)}  ${address!.padEnd(widths[1]!)}  ${colour(stateColours[state as PartState], state!)}`,
  );
  const by = status.pid === null ? '' : `, process ${status.pid}`;
  const connect = status.router.state === 'running' ? ['', `  ${psqlLine(status.router.port!)}`] : [];
  const watch = status.dashboard === null ? [] : [`  ${status.dashboard}`];
  return [`herd in ${status.dataDir}: ${status.state}${by}`, '', ...table, ...connect, ...watch].join('\n');
}
