import { randomBytes } from 'node:crypto';
import { pgError } from '../core/errors.ts';
import {
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
} from '../wire/backend.ts';
import { decodeSaslInitialResponse, decodeSaslResponse } from '../wire/frontend.ts';
import { frontend as message } from '../wire/message-types.ts';
import { ScramServer, type ScramVerifier } from '../wire/scram.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Identity, RouterServices } from './services.ts';

/**
 * Finds out who the client is. With SCRAM the proof is checked against the coordinator's own verifier, and the client key that it
 * reveals logs the router in to servers with the identical verifier.
 */
export async function authenticate(
  client: ClientConnection,
  user: string,
  services: RouterServices,
): Promise<Identity> {
  if (services.authentication === 'trust') return { user, secret: { kind: 'none' } };
  const identity = await scram(client, user, await services.scramVerifier(user));
  services.loggedIn(identity);
  return identity;
}

/** The client proves that it knows the password of this verifier. */
export async function scram(client: ClientConnection, user: string, verifier: ScramVerifier): Promise<Identity> {
  const failed = () =>
    pgError('invalidPassword', `password authentication failed for user "${user}"`, { severity: 'FATAL' });
  const server = new ScramServer(verifier, () => randomBytes(18).toString('base64'));
  client.write(encodeAuthenticationSasl(['SCRAM-SHA-256']));
  const initial = decodeSaslInitialResponse(await nextPassword(client));
  if (initial.mechanism !== 'SCRAM-SHA-256' || initial.data === null) {
    throw pgError('protocolViolation', 'client selected an invalid SASL authentication mechanism', {
      severity: 'FATAL',
    });
  }
  client.write(encodeAuthenticationSaslContinue(server.first(initial.data)));
  const outcome = server.final(decodeSaslResponse(await nextPassword(client)));
  if (!outcome.ok) throw failed();
  client.write(encodeAuthenticationSaslFinal(outcome.message));
  return {
    user,
    secret: { kind: 'scram keys', clientKey: outcome.clientKey, serverKey: verifier.serverKey },
  };
}

async function nextPassword(client: ClientConnection): Promise<Buffer> {
  const next = await client.inbox.next();
  if (next.type === message.password) return next.frame;
  throw pgError('protocolViolation', `expected SASL response, got message type ${next.type}`, { severity: 'FATAL' });
}
