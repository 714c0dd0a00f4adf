// Where there is no pgbench: repeats a script over some connections for a while. The load comes as JSON, the figures leave as JSON.
import pg from 'pg';
import { type Load, percentile, type Traffic } from './traffic.ts';

const load: Load = JSON.parse(process.argv[2]!);
const clients = await Promise.all(Array.from({ length: load.clients }, connect));
const latenciesUs: number[] = [];
const startedMs = performance.now();
const endMs = startedMs + load.seconds * 1000;
await Promise.all(clients.map(repeat));
const seconds = (performance.now() - startedMs) / 1000;
const figures: Traffic = {
  transactions: latenciesUs.length,
  perSecond: latenciesUs.length / seconds,
  p50Us: percentile(latenciesUs, 0.5),
  p99Us: percentile(latenciesUs, 0.99),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
await Promise.all(clients.map((client) => client.end()));

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port: load.port, user: 'postgres', database: load.database });
  await client.connect();
  return client;
}

async function repeat(client: pg.Client): Promise<void> {
  while (performance.now() < endMs) {
    const beganMs = performance.now();
    const values = new Map(load.script.draws.map(({ name, low, high }) => [name, drawn(low, high)]));
    for (const [index, statement] of load.script.statements.entries()) await run(client, statement, index, values);
    latenciesUs.push((performance.now() - beganMs) * 1000);
  }
}

function drawn(low: number, high: number): number {
  return low + Math.floor(Math.random() * (high - low + 1));
}

async function run(
  client: pg.Client,
  statement: string,
  index: number,
  values: ReadonlyMap<string, number>,
): Promise<void> {
  const used: number[] = [];
  const text = statement.replace(/:(\w+)/g, (_, name: string) => {
    const value = values.get(name)!;
    if (load.protocol === 'simple') return String(value);
    used.push(value);
    return `$${used.length}`;
  });
  if (load.protocol === 'simple') await client.query(text);
  else if (load.protocol === 'extended') await client.query({ text, values: used, queryMode: 'extended' } as never);
  else await client.query({ name: `s${index}`, text, values: used });
}
