import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { type EmbeddedHerd, type Endpoint, openEmbeddedHerd } from './embedded.ts';
import { isAlive } from './process.ts';
import { SetupError } from './setup-error.ts';

const dataDir = join(tmpdir(), `pgherd-embedded-${process.pid}-${randomInt(1e6)}`);
let herd: EmbeddedHerd | undefined;

afterAll(async () => {
  await herd?.stop('immediate');
  await rm(dataDir, { recursive: true, force: true });
});

const open = (nodes?: number) => openEmbeddedHerd({ dataDir, nodes, log: silentLog, onProgress: () => {} });

async function ask({ host, port }: Endpoint, sql: string): Promise<unknown> {
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  try {
    const result = await client.query({ text: sql, rowMode: 'array' });
    return result.rows[0]?.[0];
  } finally {
    await client.end();
  }
}

const postmaster = (name: string) =>
  Number(readFileSync(join(dataDir, 'servers', name, 'postmaster.pid'), 'utf8').split('\n')[0]);

async function eventually(check: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await check().catch(() => false)) return;
    await sleep(50);
  }
  throw new Error('did not happen');
}

test('a herd keeps its rows and ports over a restart', async () => {
  herd = await open(1);
  const ports = [herd.coordinator.port, ...herd.nodes.map((node) => node.port)];
  await ask(herd.nodes[0]!, 'CREATE TABLE t AS SELECT 42 AS x');
  await herd.stop();
  herd = await open();
  expect([herd.coordinator.port, ...herd.nodes.map((node) => node.port)]).toEqual(ports);
  expect(await ask(herd.nodes[0]!, 'SELECT x FROM t')).toBe(42);
});

test('a second supervisor is refused', async () => {
  await expect(open()).rejects.toThrow(/already runs/);
});

test('a server that is killed comes back on its port, with its rows', async () => {
  process.kill(postmaster('worker1'), 'SIGKILL');
  await eventually(async () => (await ask(herd!.nodes[0]!, 'SELECT x FROM t')) === 42);
});

test('a busy child of a killed postmaster does not keep it from starting', async () => {
  const busy = ask(herd!.nodes[0]!, 'SELECT count(*) FROM generate_series(1, 1e12::bigint)').catch(() => {});
  await sleep(200);
  process.kill(postmaster('worker1'), 'SIGKILL');
  await busy;
  await eventually(async () => (await ask(herd!.nodes[0]!, 'SELECT x FROM t')) === 42);
});

test('a server is restarted on request', async () => {
  const before = postmaster('coordinator');
  await herd!.restartServer('coordinator');
  expect(postmaster('coordinator')).not.toBe(before);
  expect(isAlive(before)).toBe(false);
  expect(await ask(herd!.coordinator, 'SELECT 1')).toBe(1);
  await expect(herd!.restartServer('nobody')).rejects.toThrow(SetupError);
});

test('nodes are added, never taken away', async () => {
  await herd!.stop();
  herd = await open(2);
  expect(herd.nodes.map((node) => node.name)).toEqual(['worker1', 'worker2']);
  expect(await ask(herd.nodes[0]!, 'SELECT x FROM t')).toBe(42);
  await herd.stop();
  await expect(open(1)).rejects.toThrow(/has 2 nodes/);
  herd = undefined;
});

test('a port that somebody took meanwhile is replaced', async () => {
  herd = await open();
  const { port } = herd.coordinator;
  await herd.stop();
  const other = createServer().listen(port, '127.0.0.1');
  try {
    herd = await open();
    expect(herd.coordinator.port).not.toBe(port);
    expect(await ask(herd.coordinator, 'SELECT 1')).toBe(1);
  } finally {
    other.close();
  }
  await herd.stop();
  herd = undefined;
});

test('a folder that cannot be used is named in the error', async () => {
  const options = { nodes: 1, log: silentLog, onProgress: () => {} };
  await expect(openEmbeddedHerd({ ...options, dataDir: '/dev/null/x' })).rejects.toThrow('/dev/null/x');
  await mkdir(dataDir, { recursive: true });
  await expect(openEmbeddedHerd({ ...options, dataDir, nodes: 0 })).rejects.toThrow('--nodes');
});
