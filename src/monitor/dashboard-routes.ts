import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerConnection } from '../backend/server-connection.ts';
import type { SqlRunner } from '../core/runner.ts';
import { writePage } from './dashboard-assets.ts';
import { activity, jobs, signal, tableShards, transactionsAndLocks } from './dashboard-queries.ts';
import { tokenCookie } from './http-guard.ts';
import { type Handler, readJson, say, sayJson } from './http-server.ts';
import type { Observatory } from './observatory.ts';
import { reportJson } from './report.ts';
import { readConsoleRequest, runConsole } from './sql-console.ts';
import type { Language } from './texts.ts';

export interface DashboardParts {
  readonly observatory: Observatory;
  /** For the page's questions, one after the other. */
  readonly runner: SqlRunner;
  /** For what somebody types. */
  readonly open: () => Promise<ServerConnection>;
  readonly title: string;
}

export function dashboardRoutes(parts: DashboardParts): [string, Handler][] {
  const { runner, observatory } = parts;
  const page = (read: (runner: SqlRunner) => Promise<unknown>): Handler => {
    return async (_, response) => sayJson(response, await read(runner));
  };
  return [
    ['GET /api/events', (request, response, url) => streamStates(parts, request, response, languageOf(url))],
    ['GET /api/tables', page(tableShards)],
    ['GET /api/activity', page(activity)],
    ['GET /api/transactions', page(transactionsAndLocks)],
    ['GET /api/jobs', page(jobs)],
    ['GET /api/statements', (_, response) => sayJson(response, observatory.statements)],
    ['POST /api/signal', async (request, response) => answerSignal(runner, await readJson(request), response)],
    [
      'POST /api/sql',
      async (request, response) => {
        const asked = readConsoleRequest(await readJson(request));
        sayJson(response, await runConsole(parts.open, asked, request));
      },
    ],
  ];
}

function languageOf(url: URL): Language {
  return url.searchParams.get('lang') === 'zh' ? 'zh' : 'en';
}

/** Server-sent events: the state now, and again after each sample. A slow reader misses states, and never piles them up. */
function streamStates(
  { observatory, title }: DashboardParts,
  request: IncomingMessage,
  response: ServerResponse,
  language: Language,
): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const send = () => {
    if (response.writableNeedDrain) return;
    const { last, samples, lags } = observatory;
    const report = last && reportJson(last.observation, last.active, language);
    response.write(`data: ${JSON.stringify({ title, report, samples, lags })}\n\n`);
  };
  send();
  const stop = observatory.subscribe(send);
  request.once('close', stop);
}

async function answerSignal(runner: SqlRunner, body: unknown, response: ServerResponse): Promise<void> {
  const { globalPid, how } = body as { globalPid?: unknown; how?: unknown };
  if (typeof globalPid !== 'string' || !/^\d+$/.test(globalPid) || (how !== 'cancel' && how !== 'terminate')) {
    return say(response, 400, 'globalPid and how are wanted');
  }
  sayJson(response, { passedOn: await signal(runner, globalPid, how) });
}

/** Where a browser gives the token, which it then keeps as a cookie. */
export function loginRoutes(token: string): [string, Handler][] {
  return [
    ['GET /login', (_, response) => writePage(response, 'text/html; charset=utf-8', loginPage(''))],
    [
      'POST /login',
      async (request, response) => {
        const given = new URLSearchParams(await readText(request)).get('token') ?? '';
        if (given !== token)
          return writePage(response, 'text/html; charset=utf-8', loginPage('That is not the token.'));
        const cookie = `${tokenCookie}=${encodeURIComponent(token)}; Path=/; HttpOnly; SameSite=Strict; Max-Age=604800`;
        response.writeHead(303, { location: '/', 'set-cookie': `${cookie}; Secure` });
        response.end();
      },
    ],
  ];
}

export const loginPaths: readonly string[] = ['GET /login', 'POST /login'];

function loginPage(fault: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>pgherd</title>
<link rel="stylesheet" href="/app.css"><main class="login"><h1>pgherd</h1><form method="post" action="/login">
<label>Token <input name="token" type="password" autocomplete="current-password" required autofocus></label>
<button>Open</button><p role="alert">${fault}</p></form></main></html>`;
}

const maxFormBytes = 4_096;

async function readText(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request as AsyncIterable<Buffer>) {
    text += chunk.toString('latin1');
    if (text.length > maxFormBytes) throw new Error('the request is too large');
  }
  return text;
}
