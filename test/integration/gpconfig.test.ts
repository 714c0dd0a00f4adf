import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { drawPort } from '../harness/postgres.ts';

const dataDir = join(tmpdir(), `pgherd-gpconfig-${process.pid}`);
const configFile = `${dataDir}.yaml`;
const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');
let port: number;

async function pgherd(...args: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args, '--data', dataDir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    text.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    text.stderr += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, ...text };
}

const gpconfig = (...args: string[]) => pgherd('gpconfig', ...args);

async function ask(sql: string): Promise<unknown[][]> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

const everywhere = async (name: string) =>
  (await ask(`SELECT nodename, value FROM pgherd_settings('${name}') ORDER BY nodeid`)).map((row) => row.join('='));

beforeAll(async () => {
  port = await drawPort();
  await writeFile(
    configFile,
    `listen: { port: ${port} }\ncitus:\n  shard_count: 6\n  log_statement: ddl\n  shared_preload_libraries: citus\n`,
  );
  const up = await pgherd('up', '--detach', '--nodes', '2', '--config', configFile);
  expect(up, up.stderr).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(':5: citus.shared_preload_libraries: is ignored'),
  });
}, 120_000);

afterAll(async () => {
  await pgherd('down');
  await rm(dataDir, { recursive: true, force: true });
  await rm(configFile, { force: true });
});

test('up --config: what the file says is in force', async () => {
  await ask('CREATE TABLE six (id int)');
  await ask("SELECT create_distributed_table('six', 'id')");
  expect(await ask("SELECT shard_count FROM citus_tables WHERE table_name = 'six'::regclass")).toEqual([['6']]);
  const log = await readFile(join(dataDir, 'log', 'pgherd.log'), 'utf8');
  expect(log).toContain('CREATE TABLE six (id int)');
  expect(log).not.toContain('create_distributed_table');
});

test('a change is written on all servers, and in force once they reload', async () => {
  const before = await everywhere('work_mem');
  const outcome = await gpconfig('-c', 'work_mem', '-v', '64MB', '-m', '16MB');
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  expect(outcome.stdout).toContain("completed successfully with parameters '-c work_mem -v 64MB -m 16MB'");
  expect(outcome.stdout).toContain('pending a reload');
  expect(await everywhere('work_mem')).toEqual(before);
  const file = await gpconfig('-s', 'work_mem', '--file');
  expect(file.stdout).toContain('Master  value: 16MB\nSegment value: 64MB');
  await gpconfig('--reload');
  await expect
    .poll(() => everywhere('work_mem'), { timeout: 20_000, interval: 200 })
    .toEqual(['coordinator=16MB', 'worker1=64MB', 'worker2=64MB']);
  const { stdout } = await gpconfig('-s', 'work_mem');
  expect(stdout).toBe(
    'Values on all segments are consistent\nGUC          : work_mem\nMaster  value: 16MB\nSegment value: 64MB\n',
  );
}, 60_000);

test('what needs a restart says so, and --restart restarts the servers with it', async () => {
  const outcome = await gpconfig('-c', 'max_connections', '-v', '250', '-m', '350');
  expect(outcome.stdout).toContain('max_connections is pending a restart');
  expect(await everywhere('max_connections')).toEqual(['coordinator=400', 'worker1=200', 'worker2=200']);
  const restarted = await gpconfig('--restart');
  expect(restarted).toMatchObject({ code: 0 });
  expect(restarted.stdout).toContain('worker2 was restarted');
  await expect
    .poll(() => everywhere('max_connections').catch(() => null), { timeout: 60_000, interval: 500 })
    .toEqual(['coordinator=350', 'worker1=250', 'worker2=250']);
}, 180_000);

test('names and values are judged before any server is changed', async () => {
  expect(await gpconfig('-c', 'no_such_thing', '-v', '1')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('unrecognized configuration parameter "no_such_thing"'),
  });
  expect(await gpconfig('-c', 'maintenance_work_mem', '-v', '64MB', '-m', 'much')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('invalid value for parameter "maintenance_work_mem": "much"'),
  });
  expect(await gpconfig('-c', 'log_min_messages', '-v', 'all')).toMatchObject({ code: 1 });
  expect(await gpconfig('-c', 'port', '-v', '5')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('command line'),
  });
  const written = await ask("SELECT DISTINCT file_value FROM pgherd_settings('maintenance_work_mem')");
  expect(written).toEqual([[null]]);
}, 60_000);

test('what a server refuses all the same is undone on the servers before it', async () => {
  await gpconfig('-c', 'timezone', '-v', 'Europe/Vienna');
  const refused = await gpconfig('-c', 'timezone', '-v', 'Nowhere/Land', '-m', 'UTC');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('invalid value for parameter "TimeZone"') });
  expect(await ask("SELECT DISTINCT file_value FROM pgherd_settings('timezone')")).toEqual([['Europe/Vienna']]);
  await gpconfig('-r', 'timezone');
  expect(await ask("SELECT DISTINCT file_value FROM pgherd_settings('timezone')")).toEqual([[null]]);
}, 60_000);

test('--remove takes a change back, --masteronly leaves the nodes alone', async () => {
  await gpconfig('-r', 'work_mem', '--reload');
  await expect
    .poll(async () => new Set((await everywhere('work_mem')).map((each) => each.split('=')[1])).size, {
      timeout: 20_000,
      interval: 200,
    })
    .toBe(1);
  await gpconfig('-c', 'log_duration', '-v', 'on', '--masteronly', '--reload');
  await expect
    .poll(() => everywhere('log_duration'), { timeout: 20_000, interval: 200 })
    .toEqual(['coordinator=on', 'worker1=off', 'worker2=off']);
}, 60_000);

test('-l lists all settings', async () => {
  const { stdout } = await gpconfig('-l');
  expect(stdout).toMatch(/^\[name: work_mem\] \[unit: kB\] \[context: user\] \[vartype: integer\] \[min_val: \d+\]/m);
});

test('wrong usage is told', async () => {
  expect(await gpconfig('-c', 'work_mem')).toMatchObject({ code: 1, stderr: expect.stringContaining('needs a value') });
  expect(await gpconfig()).toMatchObject({ code: 1, stderr: expect.stringContaining('nothing to do') });
});

test('SET of a setting of the servers says what to do instead', async () => {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  await client.connect();
  await expect(client.query("SET shared_buffers = '4GB'")).rejects.toMatchObject({
    code: '55P02',
    hint: 'It is a setting of the servers: pgherd gpconfig -c shared_buffers -v 4GB --restart changes it on all of them.',
  });
  await expect(client.query('SET checkpoint_timeout = 60')).rejects.toMatchObject({
    hint: expect.stringContaining('--reload'),
  });
  await client.end();
});
