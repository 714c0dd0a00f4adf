import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { connectRaw, resetSchema } from '../../test/oracle/client.ts';
import { median } from '../median.ts';
import { createProgress } from '../progress.ts';
import { applySettings, type BenchServers, startServers } from '../servers.ts';
import { scaleOf } from './data/scale.ts';
import { loadTables } from './load.ts';
import { type Measured, measureQuery, type Sides } from './measure.ts';
import { type BenchOptions, readOptions, usage } from './options.ts';
import { describe, summarize } from './report.ts';

const stop = { asked: false };
let side = '';
const progress = createProgress(() => side);

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(usage);
  else await bench(options);
} catch (error) {
  progress.clear();
  if (!stop.asked) process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = stop.asked ? 130 : 1;
}

async function bench(options: BenchOptions): Promise<void> {
  const dir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'pgherd-tpch-'));
  progress.say('starting the servers');
  const servers = await startServers(dir, { nodes: options.nodes });
  const interrupt = endOnSignal();
  try {
    await applySettings(servers.servers, options.serverSettings);
    const sides = await openSides(servers, options);
    interrupt.sides = sides;
    await loadBoth(sides, options, dir);
    const measured = await measureAll(sides, options);
    writeReport(options, measured);
    if (stop.asked) process.exitCode = 130;
    else if (measured.some((each) => each.difference !== undefined)) process.exitCode = 1;
    for (const client of [sides.plain, sides.herd]) await client.end();
  } finally {
    progress.say('stopping the servers');
    await servers.stop();
    if (options.dataDir === null) rmSync(dir, { recursive: true, force: true });
    progress.clear();
  }
}

/** Ctrl-C ends the connections, so that whatever runs fails; the servers are stopped on the way out. */
function endOnSignal(): { sides?: Sides } {
  const interrupt: { sides?: Sides } = {};
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      stop.asked = true;
      for (const client of [interrupt.sides?.plain, interrupt.sides?.herd]) {
        (client as unknown as { connection: { stream: { destroy(): void } } })?.connection.stream.destroy();
      }
    });
  }
  return interrupt;
}

async function openSides(servers: BenchServers, options: BenchOptions): Promise<Sides> {
  const { factor } = options;
  const sides = { plain: await connectRaw(servers.plainUrl), herd: await connectRaw(servers.herdUrl), factor };
  for (const client of [sides.plain, sides.herd]) {
    await client.query(`SET statement_timeout = '${options.timeoutSeconds}s'`);
  }
  return sides;
}

/** One after the other: each has the machine to itself. */
async function loadBoth(sides: Sides, options: BenchOptions, dir: string): Promise<void> {
  const marker = join(dir, 'loaded.json');
  const { factor, seed, nodes, layout } = options;
  const wanted = JSON.stringify({ factor, seed, nodes, layout });
  if (!existsSync(marker) || readFileSync(marker, 'utf8') !== wanted) {
    rmSync(marker, { force: true });
    const scale = scaleOf(factor, seed);
    for (const name of ['plain', 'herd'] as const) {
      side = `${name}: `;
      const client = sides[name];
      await client.query('SET statement_timeout = 0');
      await resetSchema(client);
      await loadTables(client, scale, name === 'herd' ? layout : null, progress);
      progress.say('VACUUM ANALYZE');
      await client.query('VACUUM ANALYZE');
      await client.query('CHECKPOINT');
      await client.query(`SET statement_timeout = '${options.timeoutSeconds}s'`);
    }
    side = '';
    writeFileSync(marker, wanted);
  }
  for (const [name, value] of options.sessionSettings) {
    await sides.herd.query('SELECT set_config($1, $2, false)', [name, value]);
  }
}

async function measureAll(sides: Sides, options: BenchOptions): Promise<Measured[]> {
  const all = Array.from({ length: 22 }, (_, index) => index + 1);
  const wanted = options.queries.length === 0 ? all : options.queries;
  const measured: Measured[] = [];
  for (const query of wanted) {
    if (stop.asked) break;
    progress.say(`query ${query} of ${wanted.length}`);
    measured.push(await measureQuery(sides, query, options.runs, () => stop.asked));
  }
  return measured;
}

function writeReport(options: BenchOptions, measured: readonly Measured[]): void {
  progress.clear();
  const { factor, seed, runs, nodes, layout, serverSettings, sessionSettings } = options;
  const machine = { node: process.version, cores: cpus().length, memoryGb: Math.round(totalmem() / 2 ** 30) };
  const title = `TPC-H, scale factor ${factor}, layout ${layout}, ${nodes} nodes, ${runs} runs; ${machine.cores} cores, Node.js ${machine.node}`;
  process.stdout.write(`${title}\n\n${describe(measured)}\n\nfigures in ${options.json}\n`);
  const settings = { server: Object.fromEntries(serverSettings), session: Object.fromEntries(sessionSettings) };
  const queries = measured.map((each) => ({
    ...each,
    plainMedianMs: median(each.plainMs),
    herdMedianMs: median(each.herdMs),
  }));
  const at = new Date().toISOString();
  const report = { at, machine, factor, seed, runs, nodes, layout, settings, ...summarize(measured), queries };
  writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}
