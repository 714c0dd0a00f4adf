import { backendOfLoop, loopName } from '../catalog/loop-names.ts';
import { pgError, unsupported } from '../core/errors.ts';
import { AttachedTransaction } from '../transaction/attached-transaction.ts';
import type { ClientConnection } from './client-connection.ts';
import { scram } from './login.ts';
import { LoopSession, loopStatements } from './loop-session.ts';
import type { RouterServices } from './services.ts';
import { SessionState } from './session-state.ts';

/**
 * A connection by which a function on the coordinator comes back. Who knows the secret is the coordinator; the session that it
 * belongs to is the one whose coordinator connection is the backend that it names, and that is looked up for each transaction.
 */
export async function acceptLoop(
  client: ClientConnection,
  parameters: ReadonlyMap<string, string>,
  services: RouterServices,
): Promise<SessionState> {
  const { loop } = services;
  if (loop === null) {
    throw pgError('invalidAuthorizationSpecification', `role "${loopName}" is the router's own`, { severity: 'FATAL' });
  }
  await scram(client, loopName, loop.verifier);
  const backend = backendOfLoop(parameters.get('application_name'));
  const find = () => sessionOf(backend, services);
  const { identity } = find();
  // Functions of many sessions must not wait for connections that those sessions hold.
  const own: RouterServices = {
    ...services,
    pool: (site, whose, catalog) => (site === 'coordinator' ? loop.pool(whose) : services.pool(site, whose, catalog)),
    statements: loopStatements(services),
  };
  const state = new SessionState(
    client,
    own,
    identity,
    (host) =>
      new AttachedTransaction(host, () => {
        const outer = find();
        if (outer.transactionCatalog !== null) {
          throw unsupported('PH051', 'a function over distributed tables in a transaction that has changed the schema');
        }
        return outer.transaction;
      }),
  );
  state.loop = new LoopSession(state, find);
  return state;
}

/** The session of this worker whose coordinator connection is that backend. */
export function sessionOfBackend(backend: number, services: Pick<RouterServices, 'sessions'>): SessionState | null {
  for (const session of services.sessions) {
    if (session.loop === null && session.transaction.connectionOf('coordinator')?.processId === backend) return session;
  }
  return null;
}

/** Where a connection of the loop belongs that came to the wrong worker; null: it is right here. Throws if it is nobody's of this router. */
export async function loopPortElsewhere(
  parameters: ReadonlyMap<string, string>,
  services: RouterServices,
): Promise<number | null> {
  if (parameters.get('user') !== loopName) return null;
  const backend = backendOfLoop(parameters.get('application_name'));
  if (backend === null || sessionOfBackend(backend, services) !== null) return null;
  const port = (await services.peers.ask({ kind: 'loopPort', backend })).find((found) => found !== null) ?? null;
  // Before it has logged in, this answer makes libpq ask the next router.
  if (port === null) throw pgError('cannotConnectNow', nobodys, { severity: 'FATAL' });
  return port;
}

const nobodys = 'a distributed table was read on the coordinator, outside a session of this router';

function sessionOf(backend: number | null, services: RouterServices): SessionState {
  const found = backend === null ? null : sessionOfBackend(backend, services);
  if (found !== null) return found;
  throw unsupported('PH001', nobodys, { severity: 'FATAL' });
}
