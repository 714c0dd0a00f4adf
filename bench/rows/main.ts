import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createProgress } from '../progress.ts';
import { type BenchServers, startServers } from '../servers.ts';
import { measureBulk, measureTraffic } from './measure.ts';
import { type Options, readOptions, usage } from './options.ts';
import { describe, type Outcome, ratio } from './report.ts';
import type { Row, StagesRow } from './row.ts';
import { openSides, type Sides } from './sides.ts';
import { profileFlags, stagesOf } from './stages.ts';
import { generator, runLoad } from './traffic.ts';

const stop = { asked: false };
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stop.asked = true;
  });
}
const progress = createProgress(() => '');

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(usage);
  else await bench(options);
} catch (error) {
  progress.clear();
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function bench(options: Options): Promise<void> {
  const dir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'pgherd-bench-'));
  const outcomes: Outcome[] = [];
  const load = [loadavg()[0]!];
  try {
    for (const profiled of [false, true]) {
      const rows = options.rows.filter((row) => (row.kind === 'stages') === profiled);
      if (rows.length > 0 && !stop.asked) await measureRows({ ...options, rows }, dir, outcomes);
    }
    load.push(loadavg()[0]!);
    writeReport(options, outcomes, load);
    if (stop.asked) process.exitCode = 130;
  } finally {
    if (options.dataDir === null) rmSync(dir, { recursive: true, force: true });
    progress.clear();
  }
}

/** Rows that profile the router have it to themselves, since profiling costs time. */
async function measureRows(options: Options, dir: string, outcomes: Outcome[]): Promise<void> {
  const profiles = mkdtempSync(join(tmpdir(), 'pgherd-bench-profiles-'));
  const profiled = options.rows.some((row) => row.kind === 'stages');
  progress.say('starting the servers');
  const servers = await startServers(dir, {
    nodes: options.nodes,
    nodeFlags: profiled ? profileFlags(profiles) : [],
    upFlags: options.workers === null ? [] : ['--workers', String(options.workers)],
  });
  let finish: () => Outcome | null = () => null;
  let sides: Sides | null = null;
  try {
    sides = await openSides(servers, options, dir, progress);
    for (const row of options.rows) {
      if (stop.asked) break;
      progress.say(row.name);
      if (row.kind === 'stages') finish = await profile(row, sides, options, profiles);
      else outcomes.push(await measure(row, { sides, options, servers }).catch((error) => failed(row, error)));
    }
  } finally {
    progress.say('stopping the servers');
    await sides?.pooler?.stop();
    await servers.stop();
    const outcome = finish();
    if (outcome !== null) outcomes.push(outcome);
    rmSync(profiles, { recursive: true, force: true });
  }
}

async function measure(
  row: Exclude<Row, StagesRow>,
  { sides, options, servers }: { sides: Sides; options: Options; servers: BenchServers },
): Promise<Outcome> {
  const figures =
    row.kind === 'bulk' ? await measureBulk(row, sides, options, servers) : await measureTraffic(row, sides, options);
  return { kind: 'figures', row, figures };
}

/** The other rows are measured all the same. */
function failed(row: Row, error: Error): Outcome {
  process.exitCode = 1;
  return { kind: 'failed', row, message: error.message };
}

/** The profile is written when the router ends: what is given back reads it. */
async function profile(row: StagesRow, sides: Sides, options: Options, dir: string): Promise<() => Outcome> {
  const herd = sides.all.find((side) => side.name === 'herd')!;
  const protocol = options.protocol ?? row.protocol;
  const load = { port: herd.port, database: herd.database(protocol), protocol, clients: options.clients };
  const script = row.script(sides.facts);
  await runLoad({ ...load, script, seconds: 2 });
  const fromUs = nowUs();
  await runLoad({ ...load, script, seconds: options.seconds });
  const toUs = nowUs();
  return () => ({ kind: 'stages', row, stages: stagesOf(dir, fromUs, toUs) });
}

function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

function writeReport(options: Options, outcomes: readonly Outcome[], load: readonly number[]): void {
  progress.clear();
  const { rows: _, dataDir: __, json, ...settings } = options;
  // What else runs on the machine takes more from one process than from many: figures of a busy one say less.
  const busy = load.map((each) => each.toFixed(1)).join(' to ');
  const machine = { cores: cpus().length, cpu: cpus()[0]?.model, memoryGb: Math.round(totalmem() / 2 ** 30) };
  const title =
    `${new Date().toISOString().slice(0, 10)}, ${machine.cores} cores, Node.js ${process.version}, load by ${generator()}; ` +
    `load average ${busy}; ${options.nodes} nodes, ${options.shards} shards, scale ${options.scale}, ${options.clients} clients, ` +
    `${options.rounds} × ${options.seconds} s, ${options.bulkRows} rows of COPY`;
  process.stdout.write(`${title}\n\n${describe(outcomes)}\n\nfigures in ${json}\n`);
  const rows = outcomes.map((outcome) => {
    const { name } = outcome.row;
    if (outcome.kind === 'stages') return { name, stages: outcome.stages };
    if (outcome.kind === 'failed') return { name, failure: outcome.message };
    const { plain, pooler, herd } = outcome.figures;
    return { name, ofPlain: ratio(herd, plain), ofPooler: ratio(herd, pooler), runs: outcome.figures };
  });
  const report = { at: new Date().toISOString(), node: process.version, machine, load, ...settings, rows };
  writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
}
