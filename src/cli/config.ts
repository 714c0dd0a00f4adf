import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { SetupError } from '../cluster/setup-error.ts';
import { limits } from '../core/limits.ts';
import { overlay, readOverrides } from './config-overrides.ts';
import {
  type Config,
  citusNotices,
  configSchema,
  type HttpConfig,
  isRouterKey,
  type NodeConfig,
  type ServerConfig,
  upConfigSchema,
} from './config-schema.ts';
import { parseYaml, type YamlSource } from './config-source.ts';
import { defaultHttpPort } from './herd-report.ts';
import type { HttpSettings } from './http.ts';
import { type MonitorConfig, monitorConfig } from './monitor-config.ts';
import type { RouterBehaviour, RouterOptions, ServerAddress } from './serve.ts';

export interface LoadedConfig {
  readonly options: Omit<RouterOptions, 'log'>;
  /** undefined: the configuration does not say. */
  readonly workers: number | undefined;
  /** What was accepted but has no effect, each with file and line: shown, never silently ignored. */
  readonly notices: readonly string[];
}

/** Reads and checks a `pgherd.yaml`, and the files it names (relative to it). Throws a SetupError naming line and key. */
export async function loadConfig(file: string | undefined, set: readonly string[] = []): Promise<LoadedConfig> {
  const yaml = parseYaml(file ?? 'pgherd.yaml', file === undefined ? '' : await readConfig(file));
  const source = overlay(yaml, readOverrides(configSchema, set));
  const config = checkConfig(source);
  const notices = citusNotices(config.citus).map(({ path, message }) => source.say(path, message));
  return {
    options: await routerOptions(config, source, dirname(resolve(file ?? '.'))),
    workers: config.workers,
    notices,
  };
}

/** The configuration as text → its values with defaults filled in; every fault found is reported, each on its line. */
export function checkConfig(source: YamlSource): Config {
  // An empty file is an empty map: what it lacks is reported key by key.
  const result = configSchema.safeParse(source.value ?? {}, { reportInput: true });
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => describeIssue(source, issue));
  throw new SetupError(faults.join('\n'), faultHint.router);
}

export const faultHint = {
  router: 'pgherd router --help shows an example.',
  up: 'pgherd up --help says which keys there are.',
} as const;

export function describeIssue(
  source: YamlSource,
  issue: z.core.$ZodIssue,
  unknownKey = (_: string) => 'there is no such key',
): string[] {
  const path = issue.path.filter((key) => typeof key !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) =>
      source.say([...path, key], path.length === 0 ? unknownKey(key) : 'there is no such key'),
    );
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) {
    return [source.say(path, `is missing (${issue.expected} expected)`)];
  }
  return [source.say(path, issue.message)];
}

async function routerOptions(config: Config, source: YamlSource, dir: string): Promise<LoadedConfig['options']> {
  const read = async (path: (string | number)[], file: string) =>
    readFile(resolve(dir, file), 'utf8').catch((error: Error) => {
      throw new SetupError(source.say(path, error.message), 'Paths are relative to the configuration file.');
    });
  const password = async (
    server: { password?: string | undefined; passwordFile?: string | undefined },
    path: (string | number)[],
  ) =>
    server.passwordFile === undefined
      ? server.password
      : (await read([...path, 'passwordFile'], server.passwordFile)).replace(/\r?\n$/, '');

  const coordinator = address(config.coordinator, await password(config.coordinator, ['coordinator']));
  const nodes = await Promise.all(
    config.nodes.map(async (node, i) => ({
      name: node.name,
      ...inherit(coordinator, node, await password(node, ['nodes', i])),
    })),
  );
  // Read here only to name the key of a file that cannot be read; the router reads them itself.
  if (config.tls) await Promise.all([read(['tls', 'cert'], config.tls.cert), read(['tls', 'key'], config.tls.key)]);
  const tls = config.tls && { cert: resolve(dir, config.tls.cert), key: resolve(dir, config.tls.key) };
  const ca = config.serverTls?.ca;
  if (ca !== undefined) await read(['serverTls', 'ca'], ca);
  const serverTls = ca === undefined ? {} : { ca: resolve(dir, ca) };
  return {
    ...behaviour(config),
    listen: config.listen,
    coordinator,
    nodes,
    auth: config.auth,
    ...(tls ? { tls } : {}),
    ...(config.serverTls === undefined ? {} : { serverTls }),
    ...(config.http ? { http: httpSettings(config.http, config.monitor, dir) } : {}),
    addresses: config.addresses,
    sharesHerd: config.routers === 'many',
  };
}

function httpSettings(http: HttpConfig, monitor: Config['monitor'], dir: string): HttpSettings {
  const { host, port = defaultHttpPort, token, tls } = http;
  return {
    ...{ host, port, monitor: monitorConfig(monitor), embedded: false },
    guard: token === undefined ? { kind: 'loopback' } : { kind: 'token', token },
    tls: tls ? { cert: resolve(dir, tls.cert), key: resolve(dir, tls.key) } : null,
  };
}

/** What both kinds of configuration say of how the router works. The Citus block goes before the keys that are our own, but for `pools`. */
function behaviour({ citus, shardCount, pools }: Pick<Config, 'citus' | 'shardCount' | 'pools'>): RouterBehaviour {
  return {
    defaultShardCount: citus?.shard_count ?? shardCount,
    maxConnectionsPerPool: pools.maxConnectionsPerPool ?? citus?.max_connections ?? limits.maxConnectionsPerPool,
    sharesReads: pools.shareReads ?? true,
    repartitionJoins: citus?.enable_repartition_joins ?? true,
    measuresStatements: citus?.enable_statistics_collection ?? true,
    logStatement: citus?.log_statement ?? 'none',
  };
}

export interface LoadedUpConfig {
  /** undefined: the configuration names none. */
  readonly port: number | undefined;
  /** null: none is wanted; its port undefined: one that is free. */
  readonly http: { readonly port: number | undefined; readonly monitor: MonitorConfig } | null;
  readonly workers: number | undefined;
  readonly behaviour: RouterBehaviour;
  readonly notices: readonly string[];
}

/** The configuration of an embedded herd; without a file, the defaults. */
export async function loadUpConfig(file: string | undefined, set: readonly string[] = []): Promise<LoadedUpConfig> {
  const yaml = parseYaml(file ?? 'pgherd.yaml', file === undefined ? '' : await readConfig(file));
  const source = overlay(yaml, readOverrides(upConfigSchema, set));
  const result = upConfigSchema.safeParse(source.value ?? {}, { reportInput: true });
  if (!result.success) {
    const faults = result.error.issues.flatMap((issue) => describeIssue(source, issue, saysRouterKey));
    throw new SetupError(faults.join('\n'), faultHint.up);
  }
  const notices = citusNotices(result.data.citus).map(({ path, message }) => source.say(path, message));
  const { listen, http, monitor, workers } = result.data;
  const wanted = http === false ? null : { port: http?.port, monitor: monitorConfig(monitor) };
  return { port: listen?.port, workers, http: wanted, behaviour: behaviour(result.data), notices };
}

export function saysRouterKey(key: string): string {
  if (!isRouterKey(key)) return 'there is no such key';
  return 'is for pgherd router: the embedded herd has servers of its own';
}

function readConfig(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: Error) => {
    throw new SetupError(`cannot read the configuration: ${error.message}`, 'Name it with --config FILE.');
  });
}

function address(server: ServerConfig, password: string | undefined): ServerAddress {
  const { host, port, database, user } = server;
  return { host, port, database, user, ...(password === undefined ? {} : { password }) };
}

/** What a node does not say is as on the coordinator. */
function inherit(coordinator: ServerAddress, node: NodeConfig, password: string | undefined): ServerAddress {
  const { host, port, database = coordinator.database, user = coordinator.user } = node;
  // Another role's password is not the coordinator's.
  const inherited = user === coordinator.user ? coordinator.password : undefined;
  return address({ host, port, database, user }, password ?? inherited);
}
