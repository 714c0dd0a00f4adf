import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/* `pgherd transactions --follow`, as a process of its own, beside a router that commits over several nodes. */

const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

interface Step {
  readonly at: string;
  readonly gid: string;
  readonly step: string;
  readonly detail: string;
}

let herd: TestHerd;
let client: pg.Client;
let child: ChildProcess;
const steps: Step[] = [];

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = new pg.Client({ connectionString: herd.url });
  await client.connect();
  await client.query('CREATE TABLE t (id int PRIMARY KEY, v int UNIQUE DEFERRABLE INITIALLY DEFERRED)');
  await client.query("SELECT create_distributed_table('t', 'id')");
  child = spawn(process.execPath, ['--import', 'tsx', main, 'transactions', '--follow', '--url', herd.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: child.stdout! }).on('line', (line) => steps.push(JSON.parse(line)));
});

afterAll(async () => {
  child?.kill('SIGKILL');
  await client?.end();
  await herd?.stop();
});

async function stepsOfLast(ended: (own: readonly Step[]) => boolean): Promise<Step[]> {
  const own = () => steps.filter(({ gid }) => gid === steps.at(-1)?.gid);
  await expect.poll(() => ended(own()), { timeout: 30_000, interval: 100 }).toBe(true);
  return own();
}

test('each step of a transaction over two nodes is shown as it happens, and Ctrl-C ends it', async () => {
  // What making the table has committed.
  await stepsOfLast((own) => own.some(({ step }) => step === 'outcome'));
  const before = steps.length;
  await client.query('BEGIN; INSERT INTO t SELECT g, g FROM generate_series(1, 20) g; COMMIT');
  const own = await stepsOfLast((all) => steps.length > before && all.at(-1)?.step === 'outcome');
  const order = ['begin', 'prepare', 'prepare', 'vote', 'vote', 'decision', 'told', 'told', 'outcome'];
  expect(own.map(({ step }) => step)).toEqual(order);
  const [begin] = own;
  expect(begin!.gid).toMatch(/^pgherd:/);
  expect(begin!.detail).toBe('nodes 1, 2');
  const details = (step: string) => own.filter((each) => each.step === step).map(({ detail }) => detail);
  expect(details('prepare').sort()).toEqual(
    [1, 2].map((node) => `node ${node}: PREPARE TRANSACTION '${begin!.gid}:${node}'`),
  );
  expect(details('vote').sort()).toEqual(['node 1: prepared', 'node 2: prepared']);
  expect(details('decision')).toEqual(['commit']);
  expect(details('told').sort()).toEqual(['node 1: COMMIT PREPARED done', 'node 2: COMMIT PREPARED done']);
  expect(details('outcome')).toEqual(['committed']);
  const times = own.map(({ at }) => new Date(at).getTime());
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  child.kill('SIGINT');
  const [code] = await once(child, 'exit');
  expect(code === 0 || code === 130 || code === null).toBe(true);
}, 60_000);
