import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Log } from '../core/log.ts';
import { type Guard, judge } from './http-guard.ts';

export interface HttpOptions {
  readonly host: string;
  readonly port: number;
  readonly guard: Guard;
  /** PEM texts. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

export type Handler = (request: http.IncomingMessage, response: http.ServerResponse, url: URL) => unknown;

export interface HttpListener {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `GET /path` and `POST /path` by their handlers. `open` paths are answered whoever asks. */
export async function listenHttp(
  options: HttpOptions,
  routes: ReadonlyMap<string, Handler>,
  open: ReadonlySet<string>,
  log: Log,
): Promise<HttpListener> {
  const answer = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    try {
      const url = new URL(request.url ?? '/', 'http://here');
      const route = `${request.method === 'HEAD' ? 'GET' : request.method} ${url.pathname}`;
      const verdict = judge(request, options.guard);
      if (verdict.kind === 'refused' && !open.has(route)) {
        const isPage = route === 'GET /' && verdict.status === 401;
        if (!isPage) return say(response, verdict.status, verdict.why);
        response.writeHead(303, { location: '/login' });
        return response.end();
      }
      const handler = routes.get(route);
      if (handler === undefined) return say(response, 404, 'there is no such page');
      await handler(request, response, url);
    } catch (error) {
      log.warn({ error: String(error), url: request.url }, 'a request failed');
      if (response.headersSent) response.destroy();
      else say(response, 500, error instanceof Error ? error.message : String(error));
    }
  };
  const server = options.tls === null ? http.createServer(answer) : https.createServer(options.tls, answer);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function say(response: http.ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' });
  response.end(`${text}\n`);
}

export function sayJson(response: http.ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(JSON.stringify(value));
}

const maxBodyBytes = 1_048_576;

/** The body of a request as JSON. */
export async function readJson(request: http.IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Error('the request is too large');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}
