import { expect, test } from 'vitest';
import { LatencyHistogram, latencyBetween, latencyBoundsMs, quantileMs } from './latency.ts';

test('each time falls into the first bucket whose bound it does not exceed', () => {
  const histogram = new LatencyHistogram();
  for (const ms of [0, 0.1, 0.11, 1, 70_000]) histogram.observe(ms);
  const { buckets, count, sumMs } = histogram.counts;
  expect(buckets.slice(0, 4)).toEqual([2, 1, 0, 1]);
  expect(buckets.at(-1)).toBe(1);
  expect(buckets).toHaveLength(latencyBoundsMs.length + 1);
  expect([count, sumMs]).toEqual([5, 70_001.21]);
});

test('quantiles are those of what came between two readings', () => {
  const histogram = new LatencyHistogram();
  for (let i = 0; i < 100; i++) histogram.observe(9_000);
  const before = histogram.counts;
  expect(quantileMs(latencyBetween(before, histogram.counts), 0.5)).toBeNull();
  for (let i = 0; i < 90; i++) histogram.observe(2);
  for (let i = 0; i < 10; i++) histogram.observe(40);
  const between = latencyBetween(before, histogram.counts);
  expect(between.count).toBe(100);
  expect(quantileMs(between, 0.5)).toBeCloseTo(1 + 1.5 * (50 / 90), 5);
  expect(quantileMs(between, 0.95)).toBeCloseTo(37.5, 5);
});
