import { connect, createServer } from 'node:net';
import { SetupError } from './setup-error.ts';

const maxPort = 65_535;
const connectWaitMs = 500;

/** Nobody listens there and we may. (On some systems one can listen beside a listener on 0.0.0.0: so ask both ways.) */
export async function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return !(await answers(port, host)) && (await canListen(port, host));
}

/** The first free port from `from` upwards that is not in `taken`. */
export async function nextFreePort(from: number, taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (let port = from; port <= maxPort; port++) {
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  throw new SetupError(`no port from ${from} upwards is free`, 'Name a lower one with --port.');
}

function answers(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const done = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(connectWaitMs, () => done(false));
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
