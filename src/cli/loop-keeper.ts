import { randomBytes } from 'node:crypto';
import { PoolSet } from '../backend/pool.ts';
import type { Log } from '../core/log.ts';
import { openLoop } from '../schema/loop-sql.ts';
import type { LoopServices } from '../session/services.ts';
import { buildScramVerifier, parseScramVerifier } from '../wire/scram.ts';
import type { ControlPlane } from './control-plane.ts';

/** Types of a function's statements are asked for on a connection that must not wait for what the function's own session has locked. */
const lockTimeout: readonly [string, string] = ['lock_timeout', '10s'];

/** `tells`: the coordinator is to be told. Of several workers one does so, with a password that all know. */
export interface LoopDoor {
  readonly port: number;
  readonly password: string;
  readonly tells: boolean;
}

export function ownLoopDoor(port: number): LoopDoor {
  return { port, password: randomBytes(24).toString('hex'), tells: true };
}

/** Tells the coordinator where the router is, so that functions find their way back. */
export async function openLoopTo(
  { port, password, tells }: LoopDoor,
  control: ControlPlane,
  pool: { readonly maxConnections: number; readonly settings: (server: string) => ReadonlyMap<string, string> },
  log: Log,
): Promise<{ readonly services: LoopServices | null; close(): void }> {
  const pools = new PoolSet(pool.maxConnections, (server) => new Map([...pool.settings(server), lockTimeout]));
  const { database } = control.coordinatorEndpoint;
  try {
    // The router as the coordinator sees it; nothing over a unix socket.
    const { rows } = await control.coordinator.query('SELECT host(inet_client_addr())');
    if (tells) await openLoop(control.coordinator, { host: rows[0]?.[0] ?? '127.0.0.1', port, database, password });
  } catch (error) {
    log.warn(
      { error: String(error) },
      'functions on the coordinator cannot use distributed tables: no postgres_fdw there',
    );
    return { services: null, close: () => pools.close() };
  }
  const verifier = parseScramVerifier(buildScramVerifier(password, randomBytes(16)))!;
  const poolOf = ({ user, secret }: Parameters<LoopServices['pool']>[0]) =>
    pools.pool(control.coordinatorEndpoint, user, secret);
  return { services: { verifier, pool: poolOf }, close: () => pools.close() };
}
