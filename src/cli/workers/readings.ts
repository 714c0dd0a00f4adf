import type { LatencyCounts } from '../../core/latency.ts';
import type { RouterReadings } from '../../monitor/router-readings.ts';

/** What the workers have counted, as of one router. */
export function sumReadings(readings: readonly RouterReadings[]): RouterReadings {
  const all = <T>(read: (each: RouterReadings) => Iterable<T>) => readings.flatMap((each) => [...read(each)]);
  return {
    clients: readings.reduce((sum, each) => sum + each.clients, 0),
    stages: Object.fromEntries(
      sumBy(
        all((each) => Object.entries(each.stages)),
        addLatencies,
      ),
    ),
    statements: Object.fromEntries(
      sumBy(
        all((each) => Object.entries(each.statements)),
        add,
      ),
    ),
    plans: sumBy(
      all((each) => each.plans),
      add,
    ),
    errors: sumBy(
      all((each) => each.errors),
      add,
    ),
    pools: [
      ...sumBy(
        all((each) => each.pools).map((pool) => [`${pool.server} ${pool.role}`, pool]),
        (a, b) => ({
          ...a,
          open: a.open + b.open,
          busy: a.busy + b.busy,
          waiting: a.waiting + b.waiting,
          maxConnections: a.maxConnections + b.maxConnections,
        }),
      ).values(),
    ],
    sharing: sharingByServer(all((each) => each.sharing)),
    traffic: [
      ...sumBy(
        all((each) => each.traffic).map((each) => [each.server, each]),
        (a, b) => ({
          server: a.server,
          sentBytes: a.sentBytes + b.sentBytes,
          receivedBytes: a.receivedBytes + b.receivedBytes,
        }),
      ).values(),
    ],
  };
}

/** A server has a pool for each role. */
export function sharingByServer(sharing: RouterReadings['sharing']): RouterReadings['sharing'] {
  const sums = sumBy(
    sharing.map((each) => [each.server, each]),
    (a, b) => ({ server: a.server, answered: a.answered + b.answered, moved: a.moved + b.moved }),
  );
  return [...sums.values()];
}

function sumBy<T>(entries: readonly (readonly [string, T])[], sum: (a: T, b: T) => T): Map<string, T> {
  const sums = new Map<string, T>();
  for (const [key, value] of entries) {
    const known = sums.get(key);
    sums.set(key, known === undefined ? value : sum(known, value));
  }
  return sums;
}

const add = (a: number, b: number) => a + b;

function addLatencies(a: LatencyCounts, b: LatencyCounts): LatencyCounts {
  return {
    buckets: a.buckets.map((count, bucket) => count + (b.buckets[bucket] ?? 0)),
    sumMs: a.sumMs + b.sumMs,
    count: a.count + b.count,
  };
}
