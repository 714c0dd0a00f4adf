import type { Registry } from 'prom-client';
import type { SqlRunner } from '../core/runner.ts';
import { type Handler, say } from './http-server.ts';

/** Answered whoever asks: orchestrators carry no token. */
export const openRoutes: ReadonlySet<string> = new Set(['GET /healthz', 'GET /readyz']);

/** `/healthz`: the process lives. `/readyz`: a query through the router comes back. `/metrics`: for Prometheus. */
export function statusRoutes(registry: Registry, router: SqlRunner): [string, Handler][] {
  return [
    ['GET /healthz', (_, response) => say(response, 200, 'ok')],
    [
      'GET /readyz',
      async (_, response) => {
        try {
          await router.query('SELECT 1');
          say(response, 200, 'ready');
        } catch (error) {
          say(response, 503, `not ready: ${error instanceof Error ? error.message : String(error)}`);
        }
      },
    ],
    [
      'GET /metrics',
      async (_, response) => {
        const text = await registry.metrics();
        response.writeHead(200, { 'content-type': registry.contentType });
        response.end(text);
      },
    ],
  ];
}
