import { expect, test } from 'vitest';
import { checkConfig } from './config.ts';
import { environmentName, overlay, readOverrides } from './config-overrides.ts';
import { configSchema, upConfigSchema } from './config-schema.ts';
import { parseYaml } from './config-source.ts';

const file = parseYaml('pgherd.yaml', 'listen: { port: 6000 }\ncoordinator: { host: db0 }\nshardCount: 8\n');
const read = (set: string[], environment: Record<string, string>) =>
  overlay(file, readOverrides(configSchema, set, environment));

test('flags go before the environment, and that before the file', () => {
  const environment = { PGHERD_LISTEN_PORT: '6001', PGHERD_SHARD_COUNT: '16', PGHERD_COORDINATOR_PASSWORD: '007' };
  const source = read(['listen.port=6002'], environment);
  expect(checkConfig(source)).toMatchObject({
    ...{ listen: { host: '127.0.0.1', port: 6002 }, shardCount: 16 },
    // Text stays text, whatever it looks like.
    coordinator: { host: 'db0', password: '007' },
  });
  expect(source.where(['listen', 'port'])).toBe('--set listen.port');
  expect(source.where(['shardCount'])).toBe('PGHERD_SHARD_COUNT');
  expect(source.where(['coordinator', 'host'])).toBe('pgherd.yaml:2');
  expect(source.where(['auth'])).toBeUndefined();
});

test('lists and blocks are given as YAML, and parts of them by their place', () => {
  const environment = {
    PGHERD_NODES: '[{ name: w1, host: a }, { name: w2, host: b }]',
    PGHERD_CITUS_LOG_STATEMENT: 'all',
  };
  const config = checkConfig(read(['nodes.1.port=5433', 'serverTls={}'], environment));
  expect(config.nodes.map(({ host, port }) => `${host}:${port}`)).toEqual(['a:5432', 'b:5433']);
  expect(config).toMatchObject({ citus: { log_statement: 'all' }, serverTls: {} });
});

test('a fault in a variable or flag is told by its name', () => {
  const message = (set: string[], environment: Record<string, string>) => {
    try {
      checkConfig(read(set, environment));
    } catch (error) {
      return (error as Error).message;
    }
    return 'none';
  };
  expect(message([], { PGHERD_LISTEN_PORT: 'many' })).toMatch(/^PGHERD_LISTEN_PORT: listen\.port: /);
  expect(message(['lisen.port=1'], {})).toBe('--set lisen.port: lisen: there is no such key');
  expect(message([], { PGHERD_NODES: '[{ host: a }]' })).toBe(
    'PGHERD_NODES: nodes[0].name: is missing (string expected)',
  );
  expect(message(['shardCount'], {})).toContain('key=value is expected');
  expect(message([], { PGHERD_NODES: '[' })).toMatch(/^PGHERD_NODES: /);
  expect(message(['__proto__.x=1'], {})).toContain('no such key');
});

test('each key has a name of its own in the environment, and names of other things are left alone', () => {
  expect(environmentName(['pools', 'maxConnectionsPerPool'])).toBe('PGHERD_POOLS_MAX_CONNECTIONS_PER_POOL');
  for (const schema of [configSchema, upConfigSchema]) {
    const names = readOverrides(schema, [], new Proxy({}, { get: () => '{}' })).map(({ origin }) => origin);
    expect(new Set(names).size).toBe(names.length);
    expect(names).not.toContain('PGHERD_URL');
    expect(names).not.toContain('PGHERD_DATA');
    expect(names).not.toContain('PGHERD_CONFIG');
  }
});
