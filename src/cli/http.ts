import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ServerConnection } from '../backend/server-connection.ts';
import { assetRoutes } from '../monitor/dashboard-assets.ts';
import { measuredStatements } from '../monitor/dashboard-queries.ts';
import { dashboardRoutes, loginPaths, loginRoutes } from '../monitor/dashboard-routes.ts';
import type { Guard } from '../monitor/http-guard.ts';
import { listenHttp } from '../monitor/http-server.ts';
import { createMetrics } from '../monitor/metrics.ts';
import { Observatory } from '../monitor/observatory.ts';
import { PatientRunner } from '../monitor/patient-runner.ts';
import type { RouterReadings } from '../monitor/router-readings.ts';
import { openRoutes, statusRoutes } from '../monitor/status-routes.ts';
import { Watch } from '../monitor/watch.ts';
import { diskOf } from './disk.ts';
import { type MonitorConfig, monitorConfig } from './monitor-config.ts';
import type { RouterOptions } from './serve.ts';

/** The HTTP side of a router: dashboard, metrics and health. */
export interface HttpSettings {
  readonly host: string;
  readonly port: number;
  readonly guard: Guard;
  /** Paths of PEM files. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly monitor?: MonitorConfig;
  /** The servers' disks are this machine's. */
  readonly embedded: boolean;
  /** The folder of the built dashboard, where it isn't beside this program. */
  readonly assets?: string;
}

const builtAssets = fileURLToPath(new URL('../monitor/dashboard-built/', import.meta.url));

const lookMs = 15_000;
const sampleMs = 5_000;
const statementsMs = 60_000;
const answerWaitMs = 20_000;
const readyWaitMs = 5_000;

export interface RunningHttp {
  readonly port: number;
  close(): Promise<void>;
}

/** Opens the listener over a router that accepts clients already; it asks that router as any client would. */
export async function openHttp(
  settings: HttpSettings,
  options: RouterOptions,
  router: {
    readonly port: number;
    readonly readings: () => RouterReadings;
  },
): Promise<RunningHttp> {
  const { log } = options;
  const config = settings.monitor ?? monitorConfig(undefined);
  const open = () => ownConnection(options, router.port);
  const runner = new PatientRunner(open, answerWaitMs);
  const health = new PatientRunner(open, readyWaitMs);
  const collecting = {
    slowMeanMs: config.rules.slowQueries.meanMs,
    statementPattern: config.statementPattern,
    diskOf: settings.embedded ? diskOf : null,
  };
  const watch = new Watch(runner, config.rules, collecting, statementsMs);
  const observatory = new Observatory({
    watch,
    readings: router.readings,
    measured: () => measuredStatements(runner),
    log,
    lookMs,
    sampleMs,
  });
  const registry = createMetrics({
    readings: router.readings,
    look: () => observatory.last,
    nowMs: Date.now,
  });
  const board = new PatientRunner(open, answerWaitMs);
  const { guard } = settings;
  const title = `${options.coordinator.database} on port ${router.port}`;
  const routes = new Map([
    ...statusRoutes(registry, health),
    ...assetRoutes(settings.assets ?? builtAssets),
    ...dashboardRoutes({ observatory, runner: board, open, title }),
    ...(guard.kind === 'token' ? loginRoutes(guard.token) : []),
  ]);
  const openPaths = new Set([...openRoutes, 'GET /app.css', ...loginPaths]);
  const listener = await listenHttp({ ...settings, tls: readTls(settings) }, routes, openPaths, log);
  observatory.open();
  return {
    port: listener.port,
    async close() {
      observatory.close();
      await listener.close();
      runner.close();
      health.close();
      board.close();
    },
  };
}

/** As the router's own role, by the way that clients come. */
export function ownConnection(options: RouterOptions, port: number): Promise<ServerConnection> {
  const { user, password, database } = options.coordinator;
  const host = ['0.0.0.0', '::'].includes(options.listen.host) ? '127.0.0.1' : options.listen.host;
  const secret = password === undefined ? ({ kind: 'none' } as const) : ({ kind: 'password', password } as const);
  const target = { label: 'router', host, port, database, user, secret, tls: null };
  return ServerConnection.open(
    target,
    new Map([
      ['application_name', 'router'],
      ['pgherd.measure', 'off'],
    ]),
  );
}

function readTls({ tls }: HttpSettings) {
  return tls && { cert: readFileSync(tls.cert, 'utf8'), key: readFileSync(tls.key, 'utf8') };
}
