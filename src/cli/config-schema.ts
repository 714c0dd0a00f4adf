import { z } from 'zod';
import type { KeyPath } from './config-source.ts';
import { monitorSchema } from './monitor-config.ts';

const port = z.int().min(1).max(65_535);
const name = z.string().min(1).max(63);
const hostName = z.string().min(1).max(255);
const endpoint = z.strictObject({ host: hostName, port: port.default(5432) });
const login = { password: z.string().min(1).optional(), passwordFile: z.string().min(1).optional() };

const server = z
  .strictObject({ ...endpoint.shape, database: name.default('postgres'), user: name.default('postgres'), ...login })
  .superRefine(onePassword);

const node = z
  .strictObject({ name, ...endpoint.shape, database: name.optional(), user: name.optional(), ...login })
  .superRefine(onePassword);

function onePassword(value: { password?: unknown; passwordFile?: unknown }, context: z.RefinementCtx): void {
  if (value.password === undefined || value.passwordFile === undefined) return;
  context.addIssue({ code: 'custom', path: ['passwordFile'], message: 'give password or passwordFile, not both' });
}

const maxShardCount = 64_000;
const shardCount = z.int().min(1).max(maxShardCount);

/** A key whose feature does not exist yet is refused with this code, never silently ignored. */
export const notYetCode = 'PH013';

/** The block of settings that Citus's users bring along. */
const citus = z.strictObject({
  shard_count: shardCount.optional(),
  replication_factor: z
    .literal(1, { error: `more than one copy of each shard is not there yet (${notYetCode}); leave it out or say 1` })
    .optional(),
  enable_repartition_joins: z.boolean().optional(),
  enable_cross_shard_parallel_queries: mustBeOn('several nodes always work at the same time'),
  max_connections: z.int().min(1).max(10_000).optional(),
  shared_preload_libraries: z.string().optional(),
  enable_statistics_collection: z.boolean().optional(),
  log_statement: z.enum(['none', 'ddl', 'mod', 'all']).optional(),
});

function mustBeOn(why: string) {
  return z.literal(true, { error: `cannot be switched off (${notYetCode}): ${why}` }).optional();
}

const listen = z.strictObject({ host: hostName.default('127.0.0.1'), port: port.default(5432) });
/** Processes of the router; each hands cancel requests on by a number of 7 bits. */
const workers = z.int().min(1).max(128).optional();
const pools = z.strictObject({
  maxConnectionsPerPool: z.int().min(1).max(10_000).optional(),
  /** Short reads of several sessions follow one another on one connection. */
  shareReads: z.boolean().optional(),
});

const token = z.string().min(16, 'a token has 16 characters or more');

/** Metrics, health and the dashboard. */
const http = z.strictObject({
  host: hostName.default('127.0.0.1'),
  port: port.optional(),
  token: token.optional(),
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
});

/** What `pgherd up --config` reads: the embedded herd knows its own servers. */
export const upConfigSchema = z.strictObject({
  listen: z.strictObject({ port: port.optional() }).optional(),
  /** false: none. */
  http: z.union([z.literal(false), z.strictObject({ port: port.optional() })]).optional(),
  pools: pools.prefault({}),
  workers,
  shardCount: shardCount.default(32),
  citus: citus.optional(),
  monitor: monitorSchema.optional(),
});

export type UpConfig = z.infer<typeof upConfigSchema>;

/** `pgherd.yaml`. Unknown keys are faults: a misspelt one would otherwise be without effect. */
export const configSchema = z
  .strictObject({
    listen: listen.prefault({}),
    coordinator: server,
    nodes: z.array(node).default([]),
    /** Without it there is none. */
    http: http.optional(),
    auth: z.enum(['scram', 'trust']).default('scram'),
    tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
    /** Towards the servers. Without `ca` their certificates are not checked, as with libpq's sslmode=require. */
    serverTls: z.strictObject({ ca: z.string().min(1).optional() }).nullish(),
    pools: pools.prefault({}),
    workers,
    /** Over this coordinator. One alone needs no lock there for each snapshot and commit. */
    routers: z.enum(['many', 'one']).default('many'),
    shardCount: shardCount.default(32),
    /** Where a name that SQL uses, such as `worker1:5432` or `coordinator`, really is. */
    addresses: z.record(z.string().min(1), endpoint).default({}),
    citus: citus.optional(),
    /** Read by pgherd monitor. */
    monitor: monitorSchema.optional(),
  })
  .superRefine((config, context) => {
    refuseTwins(config.nodes, context);
    refuseOpenTrust(config, context);
    refuseOpenHttp(config, context);
  });

export type Config = z.infer<typeof configSchema>;
export type HttpConfig = z.infer<typeof http>;
export type ServerConfig = z.infer<typeof server>;
export type NodeConfig = z.infer<typeof node>;

function refuseTwins(nodes: readonly NodeConfig[], context: z.RefinementCtx): void {
  const seen = new Set<string>();
  nodes.forEach((each, i) => {
    if (seen.has(each.name)) {
      context.addIssue({ code: 'custom', path: ['nodes', i, 'name'], message: `a second node named "${each.name}"` });
    }
    seen.add(each.name);
  });
}

const loopback = /^(localhost|127\..*|::1)$/;

function refuseOpenTrust(config: { auth: string; listen: { host: string } }, context: z.RefinementCtx): void {
  if (config.auth !== 'trust' || loopback.test(config.listen.host)) return;
  const message = `trust lets everybody in who reaches ${config.listen.host}; use scram, or listen on 127.0.0.1`;
  context.addIssue({ code: 'custom', path: ['auth'], message });
}

/** Whoever gets there acts as the router's own role. */
function refuseOpenHttp(
  { http: wanted, auth }: { auth: string; http?: HttpConfig | undefined },
  context: z.RefinementCtx,
): void {
  if (wanted === undefined) return;
  const add = (key: string, message: string) => context.addIssue({ code: 'custom', path: ['http', key], message });
  const isOpen = !loopback.test(wanted.host);
  if ((isOpen || auth === 'scram') && wanted.token === undefined) {
    add('token', isOpen ? `is needed on ${wanted.host}` : 'is needed: with auth scram nobody gets in without a secret');
  }
  if (isOpen && wanted.tls === undefined)
    add('tls', `is needed on ${wanted.host}: the token would travel in the clear`);
}

/** The keys of `pgherd router --config`. */
export function isRouterKey(key: string): boolean {
  return key in configSchema.shape;
}

/** What of the Citus block is accepted without an effect. */
export function citusNotices(block: Config['citus']): { path: KeyPath; message: string }[] {
  return Object.keys(block ?? {}).flatMap((key) => {
    const why = withoutEffect[key];
    return why === undefined ? [] : [{ path: ['citus', key], message: `is ignored: ${why}` }];
  });
}

const withoutEffect: Readonly<Record<string, string>> = {
  shared_preload_libraries: 'pgherd needs no extension on any server',
};
