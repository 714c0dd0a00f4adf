import type { ServerConnection } from '../backend/server-connection.ts';
import { loadSnapshot } from '../catalog/load.ts';
import { bumpCatalogSql, catalogChannel } from '../catalog/schema-sql.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { type Clock, pause } from '../core/clock.ts';
import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { bootstrapCoordinator, bootstrapNode } from '../schema/bootstrap.ts';
import { ownerSecretSql } from '../schema/owner.ts';
import type { Peers } from '../session/peers.ts';
import { segmentFunctionSql } from '../sql/segment-function.ts';
import { decisionFunctionsSql, decisionProof } from '../transaction/decision-sql.ts';
import { herdLockClass, type TransactionName } from '../transaction/gid.ts';
import { registerEpoch } from '../transaction/recovery.ts';
import type { ControlPlane } from './control-plane.ts';
import type { RouterOptions } from './serve.ts';

/** Together 5 s. */
const maxClaims = 50;
const claimMs = 100;

/**
 * Keeps the process's picture of the catalog, and its place among the routers: one connection to the coordinator listens for
 * changes and holds the lock that says this router lives.
 */
export class CatalogKeeper {
  readonly #control: ControlPlane;
  readonly #options: RouterOptions;
  readonly #peers: Peers;
  readonly #clock: Clock;
  #snapshot: CatalogSnapshot | null = null;
  #watch: ServerConnection | null = null;
  #loading: Promise<CatalogSnapshot> | null = null;
  #closed = false;
  #secret = '';
  epoch = 0;
  /** The connection that holds this router's locks is gone, and is there again. */
  onLost: (() => void) | null = null;
  onBack: (() => void) | null = null;
  /** Nodes of the configuration that the catalog does not know yet: to be added by a statement, once one can be run. */
  readonly newcomers: string[] = [];

  constructor(control: ControlPlane, options: RouterOptions, { peers, clock }: { peers: Peers; clock: Clock }) {
    this.#control = control;
    this.#options = options;
    this.#peers = peers;
    this.#clock = clock;
  }

  get snapshot(): CatalogSnapshot {
    if (this.#snapshot === null) throw new Error('the catalog has not been read yet');
    return this.#snapshot;
  }

  /** What only a router of this herd can show. */
  decisionProof(name: TransactionName): string {
    return decisionProof(name, this.#secret);
  }

  /** Prepares the coordinator and the nodes of the configuration, then reads the catalog. */
  async open(): Promise<void> {
    const { coordinator } = this.#control;
    await bootstrapCoordinator(coordinator);
    await coordinator.query(decisionFunctionsSql(ownerSecretSql));
    this.#secret = (await coordinator.query(ownerSecretSql)).rows[0]?.[0] ?? '';
    await Promise.all(
      this.#options.nodes.map((node) => bootstrapNode(this.#control.at(node.name, node.host, node.port))),
    );
    await this.#registerNodes();
    await this.#startWatching();
    this.#snapshot = await loadSnapshot(coordinator);
    await this.#numberSegments();
  }

  /** Nodes that join later are numbered then. */
  async #numberSegments(): Promise<void> {
    await Promise.all(
      this.#options.nodes.map(async ({ name, host, port }) => {
        const entry = this.snapshot.nodes.find((node) => node.name === name);
        if (entry) await this.#control.at(name, host, port).query(segmentFunctionSql(entry.index));
      }),
    );
  }

  /** A schema change was committed: the other routers are told, and all workers of this one read anew before it resolves. */
  async refresh(): Promise<CatalogSnapshot> {
    await this.#control.coordinator.query(bumpCatalogSql);
    const [snapshot] = await Promise.all([this.reload(), this.#peers.ask({ kind: 'catalog' })]);
    return snapshot;
  }

  loadWithin(runner: SqlRunner): Promise<CatalogSnapshot> {
    return loadSnapshot(runner, this.snapshot);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch?.close();
  }

  /** One load at a time; whoever asks while one is under way gets the next, which sees all that was committed before. */
  reload(): Promise<CatalogSnapshot> {
    const previous = this.#loading ?? Promise.resolve();
    const loading: Promise<CatalogSnapshot> = Promise.resolve(previous)
      .catch(() => {})
      .then(async () => {
        const loaded = await loadSnapshot(this.#control.coordinator, this.snapshot);
        if (loaded.version >= this.snapshot.version) this.#snapshot = loaded;
        if (this.#loading === loading) this.#loading = null;
        return this.snapshot;
      });
    this.#loading = loading;
    return loading;
  }

  /** A herd's first nodes are simply written down. Later ones have to be given what tables depend on: `newcomers`. */
  async #registerNodes(): Promise<void> {
    const { rows } = await this.#control.coordinator.query('SELECT name FROM pgherd.node');
    const known = new Set(rows.map(([name]) => name));
    for (const node of this.#options.nodes) {
      if (known.size === 0 || known.has(node.name)) await this.#register(node);
      else this.newcomers.push(node.name);
    }
  }

  async #register(node: { name: string; host: string; port: number }): Promise<void> {
    await this.#control.coordinator.query(
      `INSERT INTO pgherd.node (name, host, port, server_version_num) VALUES ($1, $2, $3::integer, $4::integer)
         ON CONFLICT (name) DO UPDATE SET host = EXCLUDED.host, port = EXCLUDED.port
         WHERE (node.host, node.port) IS DISTINCT FROM (EXCLUDED.host, EXCLUDED.port)`,
      [node.name, node.host, String(node.port), await this.#versionOf(node)],
    );
  }

  async #versionOf(node: { name: string; host: string; port: number }): Promise<string> {
    const { rows } = await this.#control
      .at(node.name, node.host, node.port)
      .query("SELECT current_setting('server_version_num')");
    return rows[0]![0]!;
  }

  async #startWatching(): Promise<void> {
    const watch = await this.#control.dedicated();
    watch.onNotification = () => {
      this.reload().catch((error) => this.#options.log.warn({ error: String(error) }, 'could not read the catalog'));
    };
    await watch.query(`LISTEN ${catalogChannel}`);
    await this.#claimHerd(watch);
    this.epoch = await registerEpoch(watch);
    this.#watch = watch;
    watch.onClosed = () => {
      this.onLost?.();
      if (!this.#closed) void this.#watchAgain();
    };
    if (watch.closed) throw pgError('connectionFailure', 'the connection to the coordinator was lost');
  }

  /** For this router alone, or together with others: then all of them are kept apart on the coordinator. */
  async #claimHerd(watch: ServerConnection): Promise<void> {
    const shared = this.#options.sharesHerd ? '_shared' : '';
    for (let attempt = 1; ; attempt++) {
      const { rows } = await watch.query(`SELECT pg_try_advisory_lock${shared}(${herdLockClass}, 0)`);
      if (rows[0]?.[0] === 't') return;
      // The connection of one that has just died may live on for a moment.
      if (attempt === maxClaims) {
        watch.close();
        throw pgError('objectInUse', 'another router runs over this coordinator and does not share it', {
          hint: 'Routers over one coordinator all need `routers: many` in their configuration; a herd of `pgherd up` has one.',
        });
      }
      await pause(this.#clock, claimMs);
    }
  }

  /** The coordinator went away: our epoch's lock is gone with the connection, so we come back under a new one. */
  async #watchAgain(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#startWatching();
        this.onBack?.();
        await this.reload();
        return;
      } catch (error) {
        this.#options.log.warn({ error: String(error) }, 'the coordinator is not reachable; trying again');
        await pause(this.#clock, 1_000);
      }
    }
  }
}
