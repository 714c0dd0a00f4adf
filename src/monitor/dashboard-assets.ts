import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Handler, say } from './http-server.ts';

/** Nothing is loaded from elsewhere. Charts set styles on their elements. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** Pages and scripts of the dashboard, from the folder that the build has made. */
export function assetRoutes(folder: string): [string, Handler][] {
  const charts = createRequire(import.meta.url).resolve('echarts/dist/echarts.min.js');
  return [
    ['GET /', file(join(folder, 'index.html'), 'text/html; charset=utf-8')],
    ['GET /app.js', file(join(folder, 'app.js'), 'text/javascript; charset=utf-8')],
    ['GET /app.css', file(join(folder, 'app.css'), 'text/css; charset=utf-8')],
    ['GET /echarts.js', file(charts, 'text/javascript; charset=utf-8')],
  ];
}

function file(path: string, type: string): Handler {
  return async (_, response) => {
    const bytes = await readFile(path).catch(() => null);
    if (bytes === null) return say(response, 503, 'The dashboard is not built: npm run build');
    writePage(response, type, bytes);
  };
}

export function writePage(response: ServerResponse, type: string, bytes: Buffer | string): void {
  response.writeHead(200, {
    ...{ 'content-type': type, 'content-security-policy': policy, 'x-content-type-options': 'nosniff' },
    ...{ 'cache-control': 'no-cache', 'referrer-policy': 'no-referrer' },
  });
  response.end(bytes);
}
