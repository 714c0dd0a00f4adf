/** Upper bounds of the buckets, in milliseconds; what takes longer falls into one more. */
export const latencyBoundsMs: readonly number[] = [
  ...[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500],
  ...[1_000, 2_500, 5_000, 10_000, 30_000, 60_000],
];

export interface LatencyCounts {
  /** By bucket, one more than there are bounds. Not cumulative. */
  readonly buckets: readonly number[];
  readonly sumMs: number;
  readonly count: number;
}

/** How long something took, counted in buckets: a few comparisons and an addition each time. */
export class LatencyHistogram {
  readonly #buckets = new Float64Array(latencyBoundsMs.length + 1);
  #sumMs = 0;
  #count = 0;

  observe(ms: number): void {
    let bucket = 0;
    while (bucket < latencyBoundsMs.length && ms > latencyBoundsMs[bucket]!) bucket += 1;
    this.#buckets[bucket]! += 1;
    this.#sumMs += ms;
    this.#count += 1;
  }

  get counts(): LatencyCounts {
    return { buckets: [...this.#buckets], sumMs: this.#sumMs, count: this.#count };
  }
}

/** What came between two readings of one histogram. */
export function latencyBetween(before: LatencyCounts, after: LatencyCounts): LatencyCounts {
  return {
    buckets: after.buckets.map((count, i) => count - (before.buckets[i] ?? 0)),
    sumMs: after.sumMs - before.sumMs,
    count: after.count - before.count,
  };
}

/** The time that a share of all stayed below, interpolated within its bucket; null: there was none. */
export function quantileMs({ buckets, count }: LatencyCounts, share: number): number | null {
  if (count === 0) return null;
  const wanted = share * count;
  let below = 0;
  for (const [i, inside] of buckets.entries()) {
    const lower = i === 0 ? 0 : latencyBoundsMs[i - 1]!;
    const upper = latencyBoundsMs[i] ?? lower;
    if (below + inside >= wanted && inside > 0) return lower + ((upper - lower) * (wanted - below)) / inside;
    below += inside;
  }
  return latencyBoundsMs.at(-1)!;
}
