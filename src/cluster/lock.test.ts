import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { acquireLock, lockHolder } from './lock.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pgherd-lock-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test('a held lock is taken until it is released', async () => {
  const file = join(dir, 'held');
  const first = await acquireLock(file);
  expect(first.kind).toBe('held');
  expect(await acquireLock(file)).toEqual({ kind: 'taken', pid: process.pid, stopping: false });
  if (first.kind === 'held') await first.lock.markStopping();
  expect(await acquireLock(file)).toEqual({ kind: 'taken', pid: process.pid, stopping: true });
  expect(await lockHolder(file)).toBe(process.pid);
  if (first.kind === 'held') await first.lock.release();
  expect(await lockHolder(file)).toBeUndefined();
  expect((await acquireLock(file)).kind).toBe('held');
});

test('the lock of a dead process is taken over', async () => {
  const file = join(dir, 'dead');
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  await writeFile(file, `${child.pid} 1\n`);
  expect((await acquireLock(file)).kind).toBe('held');
});

test('a living process that merely has the number of the dead one does not hold the lock', async () => {
  const file = join(dir, 'reused');
  await writeFile(file, `${process.ppid} 1\n`);
  expect((await acquireLock(file)).kind).toBe('held');
  expect(await readFile(file, 'utf8')).toContain(String(process.pid));
});

test('nothing but the lock stays in the folder', async () => {
  expect((await readdir(dir)).sort()).toEqual(['dead', 'held', 'reused']);
});
