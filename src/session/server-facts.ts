import { serverFactsSql } from '../catalog/server-facts.ts';
import type { Site } from '../catalog/site.ts';
import { pgError } from '../core/errors.ts';
import { applySettings } from '../transaction/settings.ts';
import type { SessionState } from './session-state.ts';

/** A server that hangs, or has no connection left for us, is told as one that can't be asked. */
const factsWaitMs = 5_000;

interface Server {
  readonly site: Site;
  readonly name: string;
  readonly port: number;
}

/** Rows of `pgherd.live_server`: (node id, name, port, reachable, error, facts, milliseconds that they took), of servers that don't answer too. */
export async function serverFacts(session: SessionState): Promise<(string | null)[][]> {
  const nodes = session.catalog.nodes.map(({ id, name, port }) => ({ site: id, name, port }));
  const servers: Server[] = [{ site: 'coordinator', name: 'coordinator', port: coordinatorPort(session) }, ...nodes];
  return Promise.all(
    servers.map(async ({ site, name, port }) => {
      const head = [String(site === 'coordinator' ? 0 : site), name, String(port)];
      try {
        const { facts, ms } = await askServer(session, site);
        return [...head, 't', null, facts, String(ms)];
      } catch (error) {
        return [...head, 'f', error instanceof Error ? error.message : String(error), null, null];
      }
    }),
  );
}

function coordinatorPort(session: SessionState): number {
  return session.services.pool('coordinator', session.identity).target.port;
}

/** As the session's own role: it sees what that role may see. */
async function askServer(session: SessionState, site: Site): Promise<{ facts: string; ms: number }> {
  const signal = AbortSignal.any([session.signal, AbortSignal.timeout(factsWaitMs)]);
  const pool = session.services.pool(site, session.identity, session.catalog);
  const connection = await pool.acquire(signal).catch((error: unknown) => {
    throw signal.aborted ? pgError('tooManyConnections', `no connection within ${factsWaitMs / 1000} s`) : error;
  });
  const giveUp = () => connection.close();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    await applySettings(connection, session.transaction.settings);
    const startMs = performance.now();
    const { rows } = await connection.query(serverFactsSql);
    return { facts: rows[0]![0]!, ms: performance.now() - startMs };
  } finally {
    signal.removeEventListener('abort', giveUp);
    pool.release(connection);
  }
}
