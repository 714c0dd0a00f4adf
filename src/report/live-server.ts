import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LiveState } from './live-risk.ts';

const maxViewers = 200;
/** Proxies and browsers forget connections on which nothing comes. */
const heartbeatMs = 15_000;
const maxUnsentBytes = 1_048_576;

export interface LiveServer {
  readonly port: number;
  publish(state: LiveState): void;
  close(): void;
}

/** Serves the page and its state on loopback, to whoever asks this machine by a loopback name; states come as server-sent events. */
export async function startLiveServer(port: number, page: string): Promise<LiveServer> {
  const viewers = new Set<ServerResponse>();
  let latest = '';
  const server = createServer((request, response) => {
    if (!isLocal(request)) return refuse(response, 403, 'only by a loopback name');
    if (request.method !== 'GET') return refuse(response, 405, 'only GET');
    switch (request.url?.split('?')[0]) {
      case '/':
        return send(response, 'text/html; charset=utf-8', page);
      case '/state.json':
        return send(response, 'application/json', latest);
      case '/healthz':
        return send(response, 'text/plain', 'ok\n');
      case '/events':
        if (viewers.size >= maxViewers) return refuse(response, 503, 'too many viewers');
        return addViewer(viewers, response, latest);
      default:
        return refuse(response, 404, 'not found');
    }
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const heartbeat = setInterval(() => broadcast(viewers, ': \n\n'), heartbeatMs);
  return {
    port: (server.address() as AddressInfo).port,
    publish(state) {
      latest = JSON.stringify(state);
      broadcast(viewers, `data: ${latest}\n\n`);
    },
    close() {
      clearInterval(heartbeat);
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A page of another name that leads to this address would come with that name. */
function isLocal({ headers }: IncomingMessage): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(headers.host ?? '');
}

function addViewer(viewers: Set<ServerResponse>, response: ServerResponse, latest: string): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    connection: 'keep-alive',
  });
  response.write(latest === '' ? ': \n\n' : `data: ${latest}\n\n`);
  viewers.add(response);
  response.on('close', () => viewers.delete(response));
}

/** A viewer that doesn't read is let go: its browser comes back by itself. */
function broadcast(viewers: ReadonlySet<ServerResponse>, text: string): void {
  for (const viewer of viewers) {
    if (viewer.writableLength > maxUnsentBytes) viewer.destroy();
    else viewer.write(text);
  }
}

function send(response: ServerResponse, type: string, body: string): void {
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  response.end(body);
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' });
  response.end(`${why}\n`);
}
