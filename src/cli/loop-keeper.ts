import { randomBytes } from 'node:crypto';
import { PoolSet } from '../backend/pool.ts';
import { systemClock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { closeLoopDoor, forgetDeadDoors, makeLoopServer, openLoopDoor } from '../schema/loop-sql.ts';
import type { LoopServices } from '../session/services.ts';
import { buildScramVerifier, parseScramVerifier } from '../wire/scram.ts';
import type { ControlPlane } from './control-plane.ts';

/** Types of a function's statements are asked for on a connection that must not wait for what the function's own session has locked. */
const lockTimeout: readonly [string, string] = ['lock_timeout', '10s'];

const doorIntervalMs = 10_000;

export interface LoopPlace {
  /** Where clients come in. */
  readonly port: number;
  readonly epoch: number;
  /** The coordinator is to be told. Of several workers one does so. */
  readonly tells: boolean;
}

interface WayBack {
  readonly services: LoopServices | null;
  close(): Promise<void>;
}

/** Tells the coordinator where the router is, so that functions find their way back. */
export async function openLoopTo(
  { port, epoch, tells }: LoopPlace,
  control: ControlPlane,
  pool: { readonly maxConnections: number; readonly settings: (server: string) => ReadonlyMap<string, string> },
  log: Log,
): Promise<WayBack> {
  const pools = new PoolSet(pool.maxConnections, (server) => new Map([...pool.settings(server), lockTimeout]));
  try {
    const password = await makeLoopServer(control.coordinator, control.coordinatorEndpoint.database);
    // The router as the coordinator sees it; nothing over a unix socket.
    const { rows } = await control.coordinator.query('SELECT host(inet_client_addr())');
    if (tells) await openLoopDoor(control.coordinator, { host: rows[0]?.[0] ?? '127.0.0.1', port, epoch });
    const verifier = parseScramVerifier(buildScramVerifier(password, randomBytes(16)))!;
    const poolOf = ({ user, secret }: Parameters<LoopServices['pool']>[0]) =>
      pools.pool(control.coordinatorEndpoint, user, secret);
    const stop = tells ? keepDoors(control, epoch, log) : () => Promise.resolve();
    return { services: { verifier, pool: poolOf }, close: () => stop().finally(() => pools.close()) };
  } catch (error) {
    log.warn(
      { error: String(error) },
      'functions on the coordinator cannot use distributed tables: no postgres_fdw there',
    );
    return { services: null, close: async () => pools.close() };
  }
}

/** Forgets the doors of routers that have died, and at the end its own. */
function keepDoors(control: ControlPlane, epoch: number, log: Log): () => Promise<void> {
  const quietly = (work: Promise<void>) =>
    work.catch((error: unknown) => log.debug({ error: String(error) }, 'doors of routers are not up to date'));
  const stop = systemClock.every(doorIntervalMs, () => void quietly(forgetDeadDoors(control.coordinator)));
  return () => {
    stop();
    return quietly(closeLoopDoor(control.coordinator, epoch));
  };
}
