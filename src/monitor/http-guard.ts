import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Who may ask. Without a token only this machine can reach the listener. */
export type Guard = { readonly kind: 'loopback' } | { readonly kind: 'token'; readonly token: string };

export type Verdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'refused'; readonly status: 401 | 403; readonly why: string };

const allowed: Verdict = { kind: 'allowed' };
const loopbackHost = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/;

/**
 * On loopback the Host must be loopback too: otherwise any page in a browser could have its own name lead here. What changes something
 * must come from our own page.
 */
export function judge(request: IncomingMessage, guard: Guard): Verdict {
  const { host = '', origin } = request.headers;
  if (guard.kind === 'loopback' && !loopbackHost.test(host)) {
    return { kind: 'refused', status: 403, why: 'this listener answers to localhost only' };
  }
  if (guard.kind === 'token' && !equal(tokenOf(request), guard.token)) {
    return { kind: 'refused', status: 401, why: 'a token is needed: Authorization: Bearer …' };
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const isJson = /^application\/json\b/.test(request.headers['content-type'] ?? '');
    const isOwn = origin === undefined || origin.endsWith(`//${host}`);
    if (!isJson || !isOwn) return { kind: 'refused', status: 403, why: 'not from this page' };
  }
  return allowed;
}

export const tokenCookie = 'pgherd_token';

function tokenOf(request: IncomingMessage): string {
  const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  const cookie = new RegExp(`(?:^|; )${tokenCookie}=([^;]*)`).exec(request.headers.cookie ?? '')?.[1];
  return bearer ?? (cookie === undefined ? '' : decodeURIComponent(cookie));
}

function equal(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
