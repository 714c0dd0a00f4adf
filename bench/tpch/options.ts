import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

export const tpchDir = join(import.meta.dirname, '..', '..', 'test', 'tpch');

export interface BenchOptions {
  readonly factor: number;
  readonly seed: number;
  readonly runs: number;
  readonly nodes: number;
  readonly layout: string;
  /** By number; empty: all 22. */
  readonly queries: readonly number[];
  /** For every server, through ALTER SYSTEM. */
  readonly serverSettings: readonly (readonly [string, string])[];
  /** For the herd's session only. */
  readonly sessionSettings: readonly (readonly [string, string])[];
  /** Kept over runs; null: thrown away at the end. */
  readonly dataDir: string | null;
  readonly json: string;
  readonly timeoutSeconds: number;
}

export const layouts = readdirSync(join(tpchDir, 'layouts')).map((file) => file.replace('.sql', ''));

export const usage = `npm run bench -- tpch [options]

Starts the embedded herd and one plain PostgreSQL with the same data and settings, checks that both give the same answers,
and times the 22 TPC-H queries in turn on one and the other.

  --sf N            scale factor (default 0.5; 1 is about 1 GB of text)
  --runs N          timed runs of each query on each side (default 3; the median counts)
  --nodes N         data nodes of the herd (default 3)
  --layout NAME     how the tables are distributed: ${layouts.join(', ')} (default keys)
  --queries 1,3,9   only these
  --data DIR        keep the servers' data there: the next run with the same scale, seed, nodes and layout loads nothing
  --json FILE       where the figures go (default bench-tpch.json)
  --set NAME=VALUE  a setting for every server, as work_mem=64MB; repeatable
  --session NAME=VALUE  a setting for the herd's session, as pgherd.force_rung=gather; repeatable
  --timeout N       seconds after which a query is given up (default 600)
  --seed N          of the data generator (default 1)
`;

/** Undefined when the usage was asked for. Throws with a message for the user. */
export function readOptions(args: string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      sf: { type: 'string', default: '0.5' },
      seed: { type: 'string', default: '1' },
      runs: { type: 'string', default: '3' },
      nodes: { type: 'string', default: '3' },
      layout: { type: 'string', default: 'keys' },
      queries: { type: 'string', default: '' },
      set: { type: 'string', multiple: true, default: [] },
      session: { type: 'string', multiple: true, default: [] },
      data: { type: 'string' },
      json: { type: 'string', default: 'bench-tpch.json' },
      timeout: { type: 'string', default: '600' },
    },
  });
  if (values.help) return undefined;
  if (!layouts.includes(values.layout)) throw new Error(`--layout is one of ${layouts.join(', ')}`);
  return {
    factor: positive('sf', values.sf),
    seed: positive('seed', values.seed),
    runs: positive('runs', values.runs),
    nodes: positive('nodes', values.nodes),
    layout: values.layout,
    queries: values.queries === '' ? [] : values.queries.split(',').map((each) => positive('queries', each)),
    serverSettings: values.set.map(pair),
    sessionSettings: values.session.map(pair),
    dataDir: values.data ?? null,
    json: values.json,
    timeoutSeconds: positive('timeout', values.timeout),
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new Error(`--${name} needs a number above 0, not "${text}"`);
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new Error(`a setting is written NAME=VALUE, not "${text}"`);
  return [text.slice(0, at), text.slice(at + 1)];
}
