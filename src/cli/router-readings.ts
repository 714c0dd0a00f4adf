import type { PoolSet } from '../backend/pool.ts';
import type { RouterReadings } from '../monitor/router-readings.ts';
import type { RouterServices } from '../session/services.ts';
import { serverTraffic } from './virtual-rows.ts';
import { sharingByServer } from './workers/readings.ts';

/** What the router has counted, for the monitor. */
export function routerReadings({ meters, sessions }: RouterServices, pools: PoolSet): RouterReadings {
  return {
    clients: sessions.size,
    stages: Object.fromEntries(Object.entries(meters.stages).map(([stage, histogram]) => [stage, histogram.counts])),
    statements: { ...meters.statements },
    plans: new Map(meters.plans),
    errors: new Map(meters.errors),
    pools: [...pools].map(({ target, size, busy, waiting, maxConnections }) => ({
      ...{ server: target.label, role: target.user, open: size, busy, waiting, maxConnections },
    })),
    sharing: sharingByServer(
      [...pools].map(({ target, shared }) => ({
        ...{ server: target.label, answered: shared?.counts.answered ?? 0, moved: shared?.counts.moved ?? 0 },
      })),
    ),
    traffic: serverTraffic(pools).map(([server, sent, received]) => ({
      ...{ server: server!, sentBytes: Number(sent), receivedBytes: Number(received) },
    })),
  };
}
