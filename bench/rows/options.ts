import { parseArgs } from 'node:util';
import { pickRows, rows } from './catalog.ts';
import { type Protocol, type Row, type SideName, sideNames } from './row.ts';

export interface Options {
  readonly rows: readonly Row[];
  readonly seconds: number;
  readonly rounds: number;
  readonly clients: number;
  readonly scale: number;
  readonly bulkRows: number;
  readonly nodes: number;
  /** Of the router; null: as many as it takes by itself. */
  readonly workers: number | null;
  readonly shards: number;
  /** Instead of each row's own; null: as the rows say. */
  readonly protocol: Protocol | null;
  readonly sides: readonly SideName[];
  readonly dataDir: string | null;
  readonly json: string;
}

export const usage = `npm run bench [-- ROW… [options]]

Starts the embedded herd, one plain PostgreSQL with the same settings and, where it is installed, PgBouncer in front of that, all on
this machine, and measures each row in turn on one and the other. The medians of the rounds count.

Rows (point-select picks all that begin so; without any: all of them):
${rows.map(({ name, what }) => `  ${name.padEnd(29)}${what}`).join('\n')}

  --duration N      seconds of each run (default 5)
  --rounds N        runs of each row on each side (default 3)
  --clients N       (default 8)
  --scale N         100,000 accounts each (default 20)
  --rows N          of the COPY and INSERT … SELECT rows (default 1000000)
  --nodes N         data nodes of the herd (default 2)
  --shards N        shards of each table (default 32)
  --workers N       of the router (default: as it chooses)
  --protocol NAME   simple, extended or prepared, for all rows
  --sides a,b       of plain, pooler, herd (default: all)
  --data DIR        keep the servers' data there: the next run with the same flags loads only what is missing
  --json FILE       where the figures go (default bench-rows.json)
`;

/** Undefined when the usage was asked for. Throws with a message for the user. */
export function readOptions(args: string[]): Options | undefined {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      duration: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '3' },
      clients: { type: 'string', default: '8' },
      scale: { type: 'string', default: '20' },
      rows: { type: 'string', default: '1000000' },
      nodes: { type: 'string', default: '2' },
      shards: { type: 'string', default: '32' },
      workers: { type: 'string' },
      protocol: { type: 'string' },
      sides: { type: 'string', default: sideNames.join(',') },
      data: { type: 'string' },
      json: { type: 'string', default: 'bench-rows.json' },
    },
  });
  if (values.help) return undefined;
  return {
    rows: pickRows(positionals),
    seconds: whole('duration', values.duration),
    rounds: whole('rounds', values.rounds),
    clients: whole('clients', values.clients),
    scale: whole('scale', values.scale),
    bulkRows: whole('rows', values.rows),
    nodes: whole('nodes', values.nodes),
    shards: whole('shards', values.shards),
    workers: values.workers === undefined ? null : whole('workers', values.workers),
    protocol: values.protocol === undefined ? null : protocolOf(values.protocol),
    sides: values.sides.split(',').map(sideOf),
    dataDir: values.data ?? null,
    json: values.json,
  };
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name} needs a whole number above 0, not "${text}"`);
}

function sideOf(text: string): SideName {
  const side = sideNames.find((name) => name === text);
  if (side === undefined) throw new Error(`--sides are ${sideNames.join(', ')}, not "${text}"`);
  return side;
}

function protocolOf(text: string): Protocol {
  if (text === 'simple' || text === 'extended' || text === 'prepared') return text;
  throw new Error(`--protocol is simple, extended or prepared, not "${text}"`);
}
