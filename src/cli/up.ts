import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDataRoot, dataRootAt } from '../cluster/data-root.ts';
import { type EmbeddedHerd, type Endpoint, openEmbeddedHerd } from '../cluster/embedded.ts';
import { coordinatorName } from '../cluster/herd-state.ts';
import { isPortFree, nextFreePort } from '../cluster/port.ts';
import { probe } from '../cluster/probe.ts';
import { errnoCode, SetupError } from '../cluster/setup-error.ts';
import type { Log } from '../core/log.ts';
import { type LoadedUpConfig, loadUpConfig } from './config.ts';
import { defaultHttpPort, defaultPort, host, type Report, type UpOptions } from './herd-report.ts';
import { openLogFile } from './log-file.ts';
import type { RouterBehaviour, RouterOptions, RunningRouter, ServerAddress } from './serve.ts';
import { catchSignals, type Signals } from './signals.ts';
import { defaultWorkers, startWorkers } from './workers/start.ts';

const routerStopWaitMs = 10_000;

/** Runs a herd until a signal stops it: the router first, then the servers. Resolves with the exit code. */
export async function up(options: UpOptions, report: Report): Promise<number> {
  const config = await loadUpConfig(options.configFile, options.set);
  for (const notice of config.notices) report.progress(`warning: ${notice}`);
  await createDataRoot(dataRootAt(options.dataDir));
  const log = await openLogFile(join(options.dataDir, 'log', 'pgherd.log'));
  const signals = catchSignals(log);
  const herd = await openEmbeddedHerd({ ...options, log, onProgress: report.progress });
  let router: RunningRouter | undefined;
  try {
    if (!signals.received()) {
      const port = options.port ?? config.port;
      const { behaviour, http } = config;
      const workers = options.workers ?? config.workers ?? defaultWorkers('embedded');
      router = await startAndAnnounce(herd, port, { report, log, signals, workers, behaviour, http });
      await signals.first;
    }
    report.progress('stopping');
    await herd.announceStop();
    await Promise.race([router?.stop(), signals.second, sleep(routerStopWaitMs, undefined, { ref: false })]);
    return signals.exitCode();
  } finally {
    await herd.stop(signals.insistent() ? 'immediate' : 'fast');
    log.info({}, 'the herd has stopped');
    report.progress('stopped');
  }
}

interface Surroundings {
  readonly report: Report;
  readonly log: Log;
  readonly signals: Signals;
  readonly workers: number;
  readonly behaviour: RouterBehaviour;
  readonly http: LoadedUpConfig['http'];
}

async function startAndAnnounce(
  herd: EmbeddedHerd,
  port: number | undefined,
  { report, log, signals, workers, behaviour, http }: Surroundings,
): Promise<RunningRouter> {
  report.progress('starting the router');
  const router = await openRouter(herd, port, { ...behaviour, log }, { workers, http });
  await untilItAnswers(router.port);
  const ports = { routerPort: router.port, httpPort: router.httpPort };
  await herd.rememberPorts(ports);
  log.info({ port: router.port, nodes: herd.nodes.length, workers }, 'the herd is ready');
  if (!signals.received()) report.ready({ dataDir: herd.root.dir, ...ports, nodes: herd.nodes.length });
  return router;
}

const maxPortTries = 20;

async function openRouter(
  herd: EmbeddedHerd,
  wanted: number | undefined,
  how: RouterBehaviour & { readonly log: Log },
  { workers, http }: Pick<Surroundings, 'workers' | 'http'>,
): Promise<RunningRouter> {
  if (wanted !== undefined && !(await isPortFree(wanted))) {
    throw new SetupError(
      `port ${wanted} is taken`,
      `Port ${await nextFreePort(wanted + 1)} is free; without --port pgherd chooses one.`,
    );
  }
  let port = wanted ?? herd.lastRouterPort ?? defaultPort;
  for (let tries = 1; ; tries++) {
    port = wanted ?? (await nextFreePort(port));
    try {
      return await startWorkers({ ...how, ...placesOf(herd, port), ...(await httpOf(http)) }, workers);
    } catch (error) {
      const taken = errnoCode(error) === 'EADDRINUSE' || errnoCode(error) === 'EACCES';
      // The port of the HTTP listener may have been taken since it was found free: another herd that starts does so.
      const chooses = wanted === undefined || (http?.port === undefined && (await isPortFree(wanted)));
      if (!taken || !chooses || tries === maxPortTries) throw error;
      if (wanted === undefined) port += 1;
    }
  }
}

/** On loopback, where the embedded herd's servers let everybody in as well. */
async function httpOf(http: LoadedUpConfig['http']): Promise<Pick<RouterOptions, 'http'>> {
  if (http === null) return {};
  const { monitor } = http;
  const port = http.port ?? (await nextFreePort(defaultHttpPort));
  return { http: { host, port, guard: { kind: 'loopback' }, tls: null, monitor, embedded: true } };
}

function placesOf(herd: EmbeddedHerd, port: number): Omit<RouterOptions, keyof RouterBehaviour | 'log' | 'http'> {
  return {
    listen: { host, port },
    coordinator: login(herd.coordinator),
    nodes: herd.nodes.map((node) => ({ name: node.name, ...login(node) })),
    auth: 'trust',
    socketDir: herd.root.socketDir,
    addresses: addressesOf(herd),
    sharesHerd: false,
  };
}

const login = ({ host, port }: Endpoint): ServerAddress => ({ host, port, database: 'postgres', user: 'postgres' });

/** SQL written for other herds says `worker1` and 5432: each name leads to our server, with that port or without one. */
function addressesOf(herd: EmbeddedHerd): Record<string, Endpoint> {
  const servers = [{ name: coordinatorName, ...herd.coordinator }, ...herd.nodes];
  return Object.fromEntries(
    servers.flatMap(({ name, host, port }) => [
      [name, { host, port }],
      [`${name}:${defaultPort}`, { host, port }],
    ]),
  );
}

const answerWaitMs = 60_000;
const answerPollMs = 100;

/** The herd is ready when a query through the router comes back, not when a port is open. */
async function untilItAnswers(port: number): Promise<void> {
  const deadlineMs = Date.now() + answerWaitMs;
  for (;;) {
    const health = await probe(host, port);
    if (health.kind === 'running') return;
    if (Date.now() > deadlineMs) throw new SetupError(`the router does not answer: ${health.message}`);
    await sleep(answerPollMs);
  }
}
