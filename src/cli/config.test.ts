import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkConfig, loadConfig, loadUpConfig } from './config.ts';
import { parseYaml } from './config-source.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pgherd-config-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const check = (text: string) => checkConfig(parseYaml('pgherd.yaml', text));

function faults(text: string): string[] {
  try {
    check(text);
  } catch (error) {
    return (error as Error).message.split('\n');
  }
  return [];
}

const whole = `
listen: { host: 0.0.0.0, port: 6000 }
coordinator:
  host: db0
  port: 5433
  user: herd
  passwordFile: secret
nodes:
  - { name: worker1, host: db1 }
  - { name: worker2, host: db2, port: 5434, user: other, password: x }
tls: { cert: cert.pem, key: key.pem }
pools: { maxConnectionsPerPool: 7, shareReads: false }
addresses:
  worker1:5432: { host: db1, port: 5432 }
citus:
  shard_count: 48
  replication_factor: 1
  log_statement: 'all'
  shared_preload_libraries: citus
`;

test('a whole configuration becomes the options of the router', async () => {
  await writeFile(join(dir, 'pgherd.yaml'), whole);
  await writeFile(join(dir, 'secret'), 'geheim\n');
  await writeFile(join(dir, 'cert.pem'), 'CERT');
  await writeFile(join(dir, 'key.pem'), 'KEY');
  const { options, notices } = await loadConfig(join(dir, 'pgherd.yaml'));
  expect(options).toEqual({
    listen: { host: '0.0.0.0', port: 6000 },
    coordinator: { host: 'db0', port: 5433, database: 'postgres', user: 'herd', password: 'geheim' },
    nodes: [
      { name: 'worker1', host: 'db1', port: 5432, database: 'postgres', user: 'herd', password: 'geheim' },
      { name: 'worker2', host: 'db2', port: 5434, database: 'postgres', user: 'other', password: 'x' },
    ],
    auth: 'scram',
    tls: { cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') },
    addresses: { 'worker1:5432': { host: 'db1', port: 5432 } },
    defaultShardCount: 48,
    maxConnectionsPerPool: 7,
    sharesReads: false,
    repartitionJoins: true,
    sharesHerd: true,
    measuresStatements: true,
    logStatement: 'all',
  });
  expect(notices).toEqual([expect.stringMatching(/pgherd\.yaml:19: citus\.shared_preload_libraries: is ignored/)]);
});

test('a small configuration has the documented defaults', () => {
  expect(check('coordinator: { host: db0 }')).toMatchObject({
    listen: { host: '127.0.0.1', port: 5432 },
    coordinator: { host: 'db0', port: 5432, database: 'postgres', user: 'postgres' },
    nodes: [],
    auth: 'scram',
    shardCount: 32,
  });
});

test('each fault is told with its line and key', () => {
  expect(
    faults('coordinator:\n  host: db0\n  prot: 5432\nnodes:\n  - name: a\n    host: x\n  - name: a\n    port: 70000\n'),
  ).toEqual([
    'pgherd.yaml:3: coordinator.prot: there is no such key',
    'pgherd.yaml:7: nodes[1].host: is missing (string expected)',
    expect.stringMatching(/^pgherd\.yaml:8: nodes\[1\]\.port: .*65535/),
  ]);
  expect(faults('coordinator: { host: x }\nnodes:\n  - { name: a, host: x }\n  - { name: a, host: y }')).toEqual([
    'pgherd.yaml:4: nodes[1].name: a second node named "a"',
  ]);
});

test('an empty file lacks a coordinator', () => {
  expect(faults('')).toEqual(['pgherd.yaml:1: coordinator: is missing (object expected)']);
});

test('broken YAML is told with line and column', () => {
  expect(faults('coordinator:\n  host: [a\n')[0]).toMatch(/^pgherd\.yaml:\d+:\d+: /);
  expect(faults('a: 1\na: 2\n')[0]).toMatch(/^pgherd\.yaml:2:1: .*unique/);
});

test('a fault behind an alias is told where the anchor stands', () => {
  expect(faults('coordinator: &c\n  host: x\n  port: no\nnodes: []\ntls: *c\n')).toContainEqual(
    expect.stringMatching(/^pgherd\.yaml:3: coordinator\.port: /),
  );
});

test('several copies of a shard are refused with a code', () => {
  expect(faults('coordinator: { host: x }\ncitus:\n  shard_count: 32\n  replication_factor: 2\n')).toEqual([
    expect.stringMatching(/^pgherd\.yaml:4: citus\.replication_factor: .*\(PH013\)/),
  ]);
});

test("the source document's block has an effect, but for what it says of copies and libraries", async () => {
  const block = (replication: number) => `citus:
  shard_count: 32
  replication_factor: ${replication}
  enable_repartition_joins: false
  enable_cross_shard_parallel_queries: true
  max_connections: 100
  shared_preload_libraries: 'citus'
  enable_statistics_collection: false
  log_statement: 'all'
`;
  await writeFile(join(dir, 'up.yaml'), block(1));
  const { behaviour, notices } = await loadUpConfig(join(dir, 'up.yaml'));
  expect(behaviour).toEqual({
    defaultShardCount: 32,
    maxConnectionsPerPool: 100,
    sharesReads: true,
    repartitionJoins: false,
    measuresStatements: false,
    logStatement: 'all',
  });
  expect(notices).toEqual([expect.stringMatching(/up\.yaml:7: citus\.shared_preload_libraries: is ignored/)]);
  await writeFile(join(dir, 'up.yaml'), block(2));
  await expect(loadUpConfig(join(dir, 'up.yaml'))).rejects.toThrow(/up\.yaml:3: citus\.replication_factor: .*PH013/);
});

test('a configuration of an embedded herd names no servers', async () => {
  await writeFile(join(dir, 'up.yaml'), 'listen: { port: 6000 }\ncoordinator: { host: x }\nnonsense: 1\n');
  await expect(loadUpConfig(join(dir, 'up.yaml'))).rejects.toThrow(
    /up\.yaml:2: coordinator: is for pgherd router.*\n.*up\.yaml:3: nonsense: there is no such key/,
  );
  expect((await loadUpConfig(undefined)).behaviour.defaultShardCount).toBe(32);
});

test('trust on an address that others reach is refused', () => {
  expect(faults('coordinator: { host: x }\nauth: trust\nlisten:\n  host: 0.0.0.0\n')[0]).toMatch(
    /^pgherd\.yaml:2: auth: /,
  );
  expect(faults('coordinator: { host: x }\nauth: trust\n')).toEqual([]);
});

test('a file that the configuration names and that is not there is told with its key', async () => {
  await writeFile(join(dir, 'missing.yaml'), 'coordinator:\n  host: x\n  passwordFile: nowhere\n');
  await expect(loadConfig(join(dir, 'missing.yaml'))).rejects.toThrow(
    /missing\.yaml:3: coordinator\.passwordFile: ENOENT/,
  );
});
