import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HerdStatus } from '../../src/cli/status.ts';
import { isRunning, serverProcesses } from '../../src/cluster/process.ts';
import { drawPort } from '../harness/postgres.ts';

const dataDir = join(tmpdir(), `pgherd-cli-${process.pid}`);
const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function pgherd(...args: string[]): Promise<Outcome> {
  const child = launch(args);
  const output = collect(child);
  const [code] = await once(child, 'close');
  return { code, stdout: output.stdout(), stderr: output.stderr() };
}

function launch(args: string[]): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

function collect(child: ChildProcess) {
  const text = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk) => {
    text.stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    text.stderr += chunk;
  });
  return { stdout: () => text.stdout, stderr: () => text.stderr };
}

const up = (...args: string[]) => pgherd('up', '--detach', '--data', dataDir, ...args);

async function status(): Promise<HerdStatus> {
  return JSON.parse((await pgherd('status', '--json', '--data', dataDir)).stdout);
}

async function ask(port: number, sql: string): Promise<unknown> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows[0]?.[0];
  } finally {
    await client.end();
  }
}

const servers = ['coordinator', 'worker1', 'worker2'];
const dirOf = (name: string) => join(dataDir, 'servers', name);
const postmaster = (name: string) => Number(readFileSync(join(dirOf(name), 'postmaster.pid'), 'utf8').split('\n')[0]);
const allServerProcesses = async () => (await Promise.all(servers.map((name) => serverProcesses(dirOf(name))))).flat();

let port: number;

beforeAll(async () => {
  port = await drawPort();
});

afterAll(async () => {
  await pgherd('down', '--data', dataDir);
  await rm(dataDir, { recursive: true, force: true });
});

test('there is no status of a herd that was never made', async () => {
  const outcome = await pgherd('status', '--data', dataDir);
  expect(outcome.code).toBe(1);
  expect(outcome.stderr).toContain(`there is no herd in ${dataDir}`);
});

test('up --detach returns when the herd answers, and says how to connect', async () => {
  const outcome = await up('--port', String(port), '--nodes', '2');
  expect(outcome).toMatchObject({ code: 0 });
  expect(outcome.stdout).toContain(`psql -h 127.0.0.1 -p ${port} -U postgres postgres`);
  expect(outcome.stdout).toContain(`postgresql://postgres@127.0.0.1:${port}/postgres`);
  await ask(port, 'CREATE TABLE kept (x int)');
  await ask(port, 'INSERT INTO kept VALUES (42)');
  expect(await ask(port, 'SELECT x FROM kept')).toBe(42);
});

test('status tells host, port and state of every part', async () => {
  const found = await status();
  expect(found).toMatchObject({ state: 'running', dataDir, router: { host: '127.0.0.1', port, state: 'running' } });
  expect(found.coordinator).toMatchObject({ host: '127.0.0.1', state: 'running' });
  expect(found.nodes.map(({ name, state }) => [name, state])).toEqual([
    ['worker1', 'running'],
    ['worker2', 'running'],
  ]);
  expect(await ask(found.nodes[0]!.port!, 'SHOW cluster_name')).toBe('worker1');
});

test('up --detach of a running herd is done already; a different one is refused', async () => {
  expect(await up()).toMatchObject({ code: 0, stdout: expect.stringContaining('runs already') });
  expect(await up('--nodes', '3')).toMatchObject({ code: 1, stderr: expect.stringContaining('already runs') });
});

test('a second up on the same folder is refused', async () => {
  const outcome = await pgherd('up', '--data', dataDir);
  expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining('already runs') });
});

test('after kill -9 of a server the herd mends itself', async () => {
  const before = postmaster('worker1');
  process.kill(before, 'SIGKILL');
  await expect.poll(() => isRunning(before)).toBe(false);
  await expect.poll(async () => (await status()).state, { timeout: 30_000, interval: 200 }).toBe('running');
  expect(postmaster('worker1')).not.toBe(before);
  expect(await ask(port, 'SELECT x FROM kept')).toBe(42);
});

test('after kill -9 of the supervisor the next up clears what it left', async () => {
  const { pid } = await status();
  process.kill(pid!, 'SIGKILL');
  await expect.poll(() => isRunning(pid!)).toBe(false);
  expect((await status()).state).toBe('degraded');
  expect(await up()).toMatchObject({ code: 0 });
  expect(await ask(port, 'SELECT x FROM kept')).toBe(42);
});

test('after kill -9 of everything the next up has all rows', async () => {
  const { pid } = await status();
  for (const victim of [pid!, ...(await allServerProcesses())]) {
    try {
      process.kill(victim, 'SIGKILL');
    } catch (error) {
      // A server's child may end by itself in between.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  await expect.poll(() => isRunning(pid!)).toBe(false);
  expect(await up()).toMatchObject({ code: 0 });
  expect(await ask(port, 'SELECT x FROM kept')).toBe(42);
});

test('down leaves no process, and is content when nothing runs', async () => {
  const { pid } = await status();
  expect(await pgherd('down', '--data', dataDir)).toMatchObject({ code: 0 });
  expect(await isRunning(pid!)).toBe(false);
  expect(await allServerProcesses()).toEqual([]);
  expect(await pgherd('status', '--data', dataDir)).toMatchObject({ code: 3 });
  expect(await pgherd('down', '--data', dataDir)).toMatchObject({ code: 0 });
});

test('down ends servers whose supervisor was killed', async () => {
  await up();
  const { pid } = await status();
  process.kill(pid!, 'SIGKILL');
  expect(await pgherd('down', '--data', dataDir)).toMatchObject({ code: 0 });
  expect(await allServerProcesses()).toEqual([]);
});

test('a port that is taken: the next free one, unless it was asked for', async () => {
  const other = createServer().listen(port, '127.0.0.1');
  try {
    expect(await up('--port', String(port))).toMatchObject({ code: 1, stderr: expect.stringContaining('is taken') });
    const outcome = await up();
    expect(outcome.code).toBe(0);
    const { router } = await status();
    expect(router.port).toBeGreaterThan(port);
    expect(outcome.stdout).toContain(`-p ${router.port} `);
    expect(await ask(router.port!, 'SELECT x FROM kept')).toBe(42);
  } finally {
    other.close();
    await pgherd('down', '--data', dataDir);
  }
});

test('Ctrl-C stops a herd in the foreground, and the next one waits for its end', async () => {
  const first = launch(['up', '--data', dataDir]);
  const output = collect(first);
  await expect.poll(() => output.stdout(), { timeout: 60_000 }).toContain('pgherd is ready');
  first.kill('SIGINT');
  const second = await up();
  expect(second.code).toBe(0);
  expect(first.exitCode).toBe(0);
});

test('usage mistakes have an exit code of their own', async () => {
  expect(await pgherd('up', '--nodes', 'many')).toMatchObject({ code: 2 });
  expect(await pgherd('nonsense')).toMatchObject({ code: 2 });
  expect(await pgherd('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('pgherd up --detach') });
});

test('a faulty configuration is told with file, line and key', async () => {
  const outcome = await pgherd('router', '--config', main);
  expect(outcome.code).toBe(1);
  expect(outcome.stderr).toMatch(/main\.ts:\d+/);
});
