import { type ConnectionPool, PoolSet } from '../backend/pool.ts';
import { liveShardSizeName } from '../catalog/compatibility-sql.ts';
import { systemClock } from '../core/clock.ts';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { RouterReadings } from '../monitor/router-readings.ts';
import { ownerSecretSql, withOwner } from '../schema/owner.ts';
import { sessionSettings } from '../session/application-name.ts';
import { CancelRegistry } from '../session/cancel-registry.ts';
import { DescriptionCache } from '../session/describe.ts';
import { RouteBook } from '../session/hot/route-book.ts';
import { RouterMeters } from '../session/meters.ts';
import { noPeers } from '../session/peers.ts';
import { AnswerCache } from '../session/plan-answers.ts';
import { PlanCache } from '../session/plan-cache.ts';
import type { LogStatement, LoopServices, RouterServices } from '../session/services.ts';
import { ExportedSnapshots } from '../session/snapshot-commands.ts';
import { StatementCache } from '../session/statement-cache.ts';
import { StatementTimes } from '../session/statement-times.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { Decider } from '../transaction/decider.ts';
import { Fence } from '../transaction/fence.ts';
import { ProtocolLog } from '../transaction/protocol-log.ts';
import { CatalogKeeper } from './catalog-keeper.ts';
import { ControlPlane } from './control-plane.ts';
import { DeadlockKeeper } from './deadlock-keeper.ts';
import { openDoor } from './door.ts';
import { SharedHerdLock } from './herd-lock.ts';
import { type HttpSettings, openHttp, ownConnection } from './http.ts';
import { openLoopTo } from './loop-keeper.ts';
import { RecoveryKeeper } from './recovery-keeper.ts';
import { routerReadings } from './router-readings.ts';
import { schemaServices } from './schema-services.ts';
import { scramVerifierOf } from './scram-verifiers.ts';
import { liveShardSizes, mergedRows, type TellingParts, toldRows } from './virtual-rows.ts';
import { answerPeer } from './workers/answers.ts';
import { eventNumbers, type WorkerPlace } from './workers/place.ts';

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
}

/** How the router works, wherever its servers are. */
export interface RouterBehaviour {
  readonly defaultShardCount: number;
  readonly maxConnectionsPerPool: number;
  /** false: each statement has a connection of its own. */
  readonly sharesReads?: boolean;
  /** false: joins that need rows to be moved are refused, unless a session sets citus.enable_repartition_joins. */
  readonly repartitionJoins?: boolean;
  /** false: nothing is counted for citus_shard_statistics and citus_stat_statements. */
  readonly measuresStatements?: boolean;
  /** Which statements of clients go to the log, as PostgreSQL's log_statement has them. */
  readonly logStatement?: LogStatement;
}

export interface RouterOptions extends RouterBehaviour {
  readonly listen: { readonly host: string; readonly port: number };
  readonly coordinator: ServerAddress;
  /** Nodes that the herd has from the start; those that its catalog names besides are found there. */
  readonly nodes: readonly (ServerAddress & { readonly name: string })[];
  readonly auth: 'trust' | 'scram';
  /** Paths of PEM files. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Connections to servers are encrypted. With `ca` (path of a PEM file) their certificates are checked too, names included. */
  readonly serverTls?: { readonly ca?: string };
  /** The folder of the unix sockets of the servers named here: sessions reach nodes by them, which is less work than by TCP. */
  readonly socketDir?: string;
  /** Where a name such as `worker1:5432` or `coordinator` is. */
  readonly addresses: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  /** Metrics, health and the dashboard. */
  readonly http?: HttpSettings;
  /** Other routers run over the same coordinator. */
  readonly sharesHerd: boolean;
  readonly log: Log;
}

export interface RunningRouter {
  readonly port: number;
  /** Of the HTTP listener; null: there is none. */
  readonly httpPort: number | null;
  /** What it has counted. */
  readings(): RouterReadings;
  stop(): Promise<void>;
}

/** Puts a router together and starts it, or one worker of it in its place. Resolves when it accepts clients. */
export async function startRouter(options: RouterOptions, place: WorkerPlace | null = null): Promise<RunningRouter> {
  // What is opened is closed in the opposite order: also when the start fails, since locks on the coordinator go with connections.
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const closer of closers.toReversed()) await closer();
  };
  try {
    const { port, readings } = await openRouter(options, place, closers);
    const http = options.http === undefined ? null : await openHttp(options.http, options, { port, readings });
    closers.push(() => http?.close());
    return { port, httpPort: http?.port ?? null, readings, stop: close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface OpenRouter {
  readonly port: number;
  readonly readings: () => RouterReadings;
}

async function openRouter(
  options: RouterOptions,
  place: WorkerPlace | null,
  closers: (() => unknown)[],
): Promise<OpenRouter> {
  const { log } = options;
  const peers = place?.peers ?? noPeers;
  const control = new ControlPlane(options);
  closers.push(() => control.close());
  const catalog = new CatalogKeeper(control, options, { peers, clock: systemClock });
  closers.push(() => catalog.close());
  await catalog.open();
  const fence = new Fence(systemClock);
  const recovery = new RecoveryKeeper(control, catalog, fence, { log, clock: systemClock });
  const lock = options.sharesHerd
    ? new SharedHerdLock(control, fence, recovery.book, { log, clock: systemClock })
    : null;
  closers.push(() => lock?.close());
  await lock?.open();
  catalog.onLost = () => fence.suspend();
  catalog.onBack = () => fence.resume();
  closers.push(() => recovery.close());
  await recovery.open();
  const pools = new PoolSet(options.maxConnectionsPerPool, sessionSettings, options.sharesReads ?? true);
  closers.push(() => pools.close());
  let loop: LoopServices | null = null;
  const protocolLog = new ProtocolLog(systemClock, place === null ? undefined : eventNumbers(place.slot, Date.now));
  const times = new StatementTimes(options.measuresStatements ?? true);
  const telling = { catalog, pools, protocolLog, times };
  const parts = { control, catalog, recovery, pools, fence, telling, place, loop: () => loop };
  const services = routerServices(options, parts);
  place?.answersWith(
    (question) => answerPeer(question, { services, catalog, recovery, telling, relayPort: place.relayPort }),
    (processId, secret) => services.cancels.cancel(processId, secret),
  );
  const deadlocks = new DeadlockKeeper(control, catalog, {
    sessions: services.sessions,
    peers,
    log,
    clock: systemClock,
  });
  deadlocks.open();
  closers.push(() => deadlocks.close());
  const door = await openDoor(options, services, place);
  closers.push(() => door.close());
  const { port } = door;
  const pool = { maxConnections: options.maxConnectionsPerPool, settings: sessionSettings };
  const loopPlace = { port: place?.port ?? port, epoch: catalog.epoch, tells: place?.tells ?? true };
  const wayBack = await openLoopTo(loopPlace, control, pool, log);
  closers.push(() => wayBack.close());
  loop = wayBack.services;
  if (loopPlace.tells) await addNewcomers(options, port, catalog.newcomers);
  log.info({ port, nodes: catalog.snapshot.nodes.length }, 'router accepts clients');
  return { port, readings: () => routerReadings(services, pools) };
}

/** Nodes that the configuration has gained are added as anybody would add them: by a statement through the router. */
async function addNewcomers(options: RouterOptions, port: number, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const connection = await ownConnection(options, port);
  try {
    for (const name of names) {
      options.log.info({ node: name }, 'adding a node');
      await connection.query(`SELECT citus_add_node(${quoteLiteral(name)}, 5432)`);
    }
  } finally {
    connection.close();
  }
}

interface Parts {
  readonly control: ControlPlane;
  readonly catalog: CatalogKeeper;
  readonly recovery: RecoveryKeeper;
  readonly pools: PoolSet;
  readonly fence: Fence;
  readonly telling: TellingParts;
  readonly place: WorkerPlace | null;
  readonly loop: () => LoopServices | null;
}

function routerServices(
  options: RouterOptions,
  { control, catalog, recovery, pools, fence, telling, place, loop }: Parts,
): RouterServices {
  const peers = place?.peers ?? noPeers;
  const { protocolLog, times } = telling;
  const meters = new RouterMeters();
  const decider = new Decider(control.coordinatorPool);
  return {
    clock: systemClock,
    log: options.log,
    fence,
    protocolLog,
    statements: new StatementCache((ms) => meters.stages.parse.observe(ms)),
    meters,
    descriptions: new DescriptionCache(limits.maxCachedStatements),
    plans: new PlanCache(),
    routes: new RouteBook(),
    answers: new AnswerCache(Date.now),
    cancels: new CancelRegistry(place?.slot, peers),
    peers,
    snapshots: new ExportedSnapshots(),
    sessions: new Set(),
    database: options.coordinator.database,
    authentication: options.auth,
    catalog: () => catalog.snapshot,
    refreshCatalog: () => catalog.refresh(),
    loadCatalog: (runner) => catalog.loadWithin(runner),
    pool: (site, identity, known = catalog.snapshot): ConnectionPool =>
      pools.pool(control.sessionEndpoint(site, known), identity.user, identity.secret),
    defaultShardCount: options.defaultShardCount,
    loggedIn: ({ user, secret }) => pools.renewSecret(user, secret),
    control: () => control.coordinator,
    withOwner(connection, site) {
      if (connection.parameters.get('is_superuser') === 'on') return connection;
      const server = () => (site === 'coordinator' ? control.coordinator : control.node(site, catalog.snapshot));
      return withOwner(connection, async () => (await server().query(ownerSecretSql)).rows[0]?.[0] ?? '');
    },
    scramVerifier: (user) => scramVerifierOf(control.coordinator, user),
    async routerRows(relation, warn, role = null) {
      if (relation === liveShardSizeName) return liveShardSizes(control, catalog.snapshot, warn);
      const others = await peers.ask({ kind: 'rows', relation, role });
      return mergedRows(relation, [toldRows(relation, role, telling), ...others]);
    },
    times,
    repartitionJoins: options.repartitionJoins ?? true,
    logStatement: options.logStatement ?? 'none',
    resolveAddress: (name, port) => control.resolveAddress(name, port),
    nextTransactionName: () => recovery.nextTransactionName(),
    decideApart: (name, nodes, decided) => decider.decide(name, nodes, decided),
    decisionProof: (name) => catalog.decisionProof(name),
    served: (keys) => recovery.book.served(keys),
    told: (key, nodes) => recovery.book.told(key, nodes),
    ended: (name, outcome) => recovery.ended(name, outcome),
    onNode: (id, work) => control.onNode(id, catalog.snapshot, work),
    causalityToken: () => `${catalog.snapshot.clusterId}.${catalog.epoch}.${recovery.book.begun}`,
    schema: schemaServices(),
    get loop() {
      return loop();
    },
  };
}
