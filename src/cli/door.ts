import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { limits } from '../core/limits.ts';
import { acceptClient } from '../session/accept.ts';
import type { RouterServices } from '../session/services.ts';
import type { RouterOptions } from './serve.ts';
import type { WorkerPlace } from './workers/place.ts';

export interface Door {
  /** Where clients connect. */
  readonly port: number;
  /** Ends all sessions. */
  close(): Promise<void>;
}

/** Lets clients in: those that connect to this process, or those that a worker is given. */
export async function openDoor(
  options: RouterOptions,
  services: RouterServices,
  place: WorkerPlace | null,
): Promise<Door> {
  const secureContext = options.tls
    ? tls.createSecureContext({ cert: readFileSync(options.tls.cert), key: readFileSync(options.tls.key) })
    : null;
  const sockets = new Set<net.Socket>();
  const letIn = (socket: net.Socket) => {
    if (sockets.size >= limits.maxClients) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    acceptClient(socket, secureContext, services).catch((error) => {
      options.log.error({ error: String(error) }, 'a session ended badly');
      socket.destroy();
    });
  };
  const leave = () => {
    for (const socket of sockets) socket.destroy();
  };
  if (place !== null) {
    place.accept(letIn);
    return { port: place.port, close: async () => leave() };
  }
  const server = net.createServer({ pauseOnConnect: true }, letIn);
  const port = await listen(server, options.listen);
  const close = () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    leave();
    return closed;
  };
  return { port, close };
}

function listen(server: net.Server, { host, port }: { host: string; port: number }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as net.AddressInfo).port);
    });
  });
}
