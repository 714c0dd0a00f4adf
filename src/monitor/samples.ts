import { latencyBetween, quantileMs } from '../core/latency.ts';
import type { RouterReadings } from './router-readings.ts';

/** What a router did between two readings. */
export interface Sample {
  readonly atMs: number;
  readonly statementsPerSecond: number;
  readonly errorsPerSecond: number;
  readonly clients: number;
  /** Of whole statements; null: there was none. */
  readonly medianMs: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

export interface TimedReadings {
  readonly atMs: number;
  readonly readings: RouterReadings;
}

export function sampleBetween(before: TimedReadings, after: TimedReadings): Sample {
  const seconds = Math.max(after.atMs - before.atMs, 1) / 1_000;
  const [from, to] = [before.readings, after.readings];
  const latency = latencyBetween(from.stages['statement']!, to.stages['statement']!);
  const total = (counts: Iterable<number>) => [...counts].reduce((sum, count) => sum + count, 0);
  const grown = (a: Iterable<number>, b: Iterable<number>) => (total(b) - total(a)) / seconds;
  return {
    atMs: after.atMs,
    statementsPerSecond: grown(Object.values(from.statements), Object.values(to.statements)),
    errorsPerSecond: grown(from.errors.values(), to.errors.values()),
    clients: to.clients,
    medianMs: quantileMs(latency, 0.5),
    p95Ms: quantileMs(latency, 0.95),
    p99Ms: quantileMs(latency, 0.99),
  };
}
