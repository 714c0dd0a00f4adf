import type net from 'node:net';
import type tls from 'node:tls';
import { loopName } from '../catalog/loop-names.ts';
import { pgError, toErrorFields, unsupported } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { applySettings, routerSettings } from '../transaction/settings.ts';
import {
  authenticationOk,
  encodeBackendKeyData,
  encodeNegotiateProtocolVersion,
  encodeReadyForQuery,
} from '../wire/backend.ts';
import type { StartupPacket } from '../wire/frames.ts';
import { encodeStartup } from '../wire/frontend.ts';
import { ClientConnection } from './client-connection.ts';
import { milliseconds } from './idle-timeouts.ts';
import { authenticate } from './login.ts';
import { acceptLoop, loopPortElsewhere } from './loop-login.ts';
import type { RouterServices } from './services.ts';
import { Session } from './session.ts';
import { SessionState } from './session-state.ts';
import { startupSettings } from './startup-settings.ts';

/** Serves one client from its first byte to its last. */
export async function acceptClient(
  socket: net.Socket,
  secureContext: tls.SecureContext | null,
  services: RouterServices,
): Promise<void> {
  const client = new ClientConnection(socket);
  // As PostgreSQL's authentication_timeout: who says nothing, or half of it, doesn't hold a place for long.
  const timer = setTimeout(() => client.destroy(), limits.authenticationTimeoutMs);
  try {
    const packet = await client.startup(secureContext);
    if (packet === null) return;
    if (packet.kind === 'cancel') {
      services.cancels.cancel(packet.processId, packet.secret);
      client.end();
      return;
    }
    const elsewhere = await loopPortElsewhere(packet.parameters, services);
    if (elsewhere !== null) return client.relay(elsewhere, encodeStartup(packet.parameters));
    client.startMessages();
    const state = await enter(client, packet, services);
    clearTimeout(timer);
    await serve(state);
  } catch (error) {
    client.fail(toErrorFields(error));
  } finally {
    clearTimeout(timer);
  }
}

/** From the startup packet to a session that its client may use. */
async function enter(
  client: ClientConnection,
  packet: Extract<StartupPacket, { kind: 'startup' }>,
  services: RouterServices,
): Promise<SessionState> {
  const { parameters } = packet;
  negotiateVersion(client, packet);
  const user = parameters.get('user');
  if (user === undefined || user === '') {
    throw pgError('invalidAuthorizationSpecification', 'no PostgreSQL user name specified in startup packet', {
      severity: 'FATAL',
    });
  }
  if (parameters.get('replication') !== undefined && !/^(false|off|no|0)$/i.test(parameters.get('replication')!)) {
    throw unsupported('PH011', 'a replication connection', { severity: 'FATAL' });
  }
  if (user === loopName) {
    const state = await acceptLoop(client, parameters, services);
    client.authenticated();
    client.onClosed = () => state.cancel();
    await greet(state, startupSettings(parameters));
    return state;
  }
  const database = parameters.get('database') || user;
  const identity = await authenticate(client, user, services);
  if (database !== services.database) {
    throw pgError('invalidCatalogName', `database "${database}" does not exist`, {
      severity: 'FATAL',
      hint: `This herd serves database "${services.database}".`,
    });
  }
  client.authenticated();
  const state = new SessionState(client, services, identity);
  client.onClosed = () => state.cancel();
  await greet(state, startupSettings(parameters));
  return state;
}

async function serve(state: SessionState): Promise<void> {
  const { client, services } = state;
  const registration = services.cancels.register(() => state.cancel());
  services.sessions.add(state);
  try {
    client.write(encodeBackendKeyData(registration.processId, registration.secret));
    client.write(encodeReadyForQuery('I'));
    await new Session(state).run();
  } finally {
    registration.unregister();
    services.sessions.delete(state);
    await state.transaction.abandon();
  }
}

/** Logs in at the coordinator as the client, so that PostgreSQL judges role, database and settings; then AuthenticationOk. */
async function greet(state: SessionState, settings: ReadonlyMap<string, string>): Promise<void> {
  // PostgreSQL judges all others.
  for (const name of routerSettings) milliseconds(settings.get(name) ?? '0');
  state.setStartupSettings(settings);
  const connection = await state.services.pool('coordinator', state.identity).acquire();
  try {
    await applySettings(connection, state.startupSettings);
    state.client.write(authenticationOk);
    state.reportParameters(connection);
  } finally {
    state.services.pool('coordinator', state.identity).release(connection);
  }
}

function negotiateVersion(client: ClientConnection, packet: Extract<StartupPacket, { kind: 'startup' }>): void {
  const minor = packet.protocol & 0xffff;
  const unknown = [...packet.parameters.keys()].filter((name) => name.startsWith('_pq_.'));
  if (minor > 0 || unknown.length > 0) client.write(encodeNegotiateProtocolVersion(0, unknown));
}
