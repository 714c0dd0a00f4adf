import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Pair, startPair } from '../oracle/pair.ts';
import { setBounds } from './bounds.ts';
import { type Limits, type Report, runCampaign } from './campaign.ts';
import { forcedRungs } from './rungs.ts';

// A run of the usual length has always the same statements, so that it tells of the change and not of chance. PGHERD_DIFF_STATEMENTS or
// PGHERD_DIFF_SECONDS makes it longer or shorter, and draws others; PGHERD_SEED repeats a run;
// PGHERD_DIFF_FAILURES goes on after more than five different faults.
const env = (name: string) => (process.env[name] === undefined ? undefined : Number(process.env[name]));
const isCampaign = env('PGHERD_DIFF_STATEMENTS') !== undefined || env('PGHERD_DIFF_SECONDS') !== undefined;
const limits: Limits = {
  seed: env('PGHERD_SEED') ?? (isCampaign ? randomInt(2 ** 31) : 20_261_125),
  statements: env('PGHERD_DIFF_STATEMENTS') ?? Number.POSITIVE_INFINITY,
  seconds: env('PGHERD_DIFF_SECONDS') ?? (env('PGHERD_DIFF_STATEMENTS') === undefined ? 60 : 24 * 3600),
  failures: env('PGHERD_DIFF_FAILURES') ?? 5,
};

describe('random statements', () => {
  let pair: Pair;

  beforeAll(async () => {
    pair = await startPair({ nodes: 3 });
  }, 120_000);

  afterAll(async () => {
    await pair?.stop();
  }, 60_000);

  test(
    'answer alike on one PostgreSQL and on the herd',
    async () => {
      process.stdout.write(`differential: PGHERD_SEED=${limits.seed}, bounds of motions: ${setBounds(limits.seed)}\n`);
      const report = await runCampaign(pair, limits);
      print(report);
      expect(report.failures.map((failure) => failure.report)).toEqual([]);
      expect(report.succeeded / report.statements, 'share of statements that succeeded').toBeGreaterThanOrEqual(0.7);
      expect(report.queriesWithRows / report.queries, 'share of queries with rows').toBeGreaterThanOrEqual(0.5);
    },
    (limits.seconds + 600) * 1000,
  );
});

function print(report: Report): void {
  const share = (part: number, whole: number) => `${((100 * part) / Math.max(whole, 1)).toFixed(1)} %`;
  const { statements, runs, succeeded, queries, queriesWithRows, refused, tooSlow } = report;
  const lines = [
    `differential: ${statements} statements, ${runs} runs on the herd (rungs forced: ${forcedRungs.join(', ')}): ${share(succeeded, statements)} succeeded, ${share(refused, statements)} refused by the herd, ${share(tooSlow, statements)} too slow`,
    `differential: ${queries} queries: ${share(queriesWithRows, queries)} returned rows`,
    ...[...report.refusals]
      .sort(([, a], [, b]) => b.count - a.count)
      .slice(0, 20)
      .map(([message, { count, example }]) => `  refused ${count} times: ${message}\n    ${example.slice(0, 300)}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
