import { readFileSync } from 'node:fs';
import { ServerConnection, type ServerTls } from '../backend/server-connection.ts';
import { SetupError } from '../cluster/setup-error.ts';
import type { SqlRunner } from '../core/runner.ts';
import { host } from './herd-report.ts';
import { herdStatus } from './status.ts';

export interface HerdClient extends SqlRunner {
  readonly closed: boolean;
  close(): void;
}

/** A connection to a router: the embedded herd's of a folder, or the one that a URL names. */
export async function openHerdClient({
  data,
  url,
}: {
  readonly data: string;
  readonly url?: string;
}): Promise<ServerConnection> {
  const { password, ...target } = url === undefined ? await embedded(data) : parseHerdUrl(url);
  const secret = password === '' ? ({ kind: 'none' } as const) : ({ kind: 'password', password } as const);
  // What we ask is no statement of the users'.
  const settings = new Map([
    ['application_name', 'pgherd'],
    ['pgherd.measure', 'off'],
  ]);
  return ServerConnection.open({ label: 'router', ...target, secret }, settings);
}

async function embedded(dataDir: string) {
  const { router } = await herdStatus(dataDir);
  if (router.port === null || router.state === 'stopped') {
    throw new SetupError(`the herd in ${dataDir} does not run`, 'Start it with pgherd up, or name another with --url.');
  }
  return { host, port: router.port, user: 'postgres', password: '', database: 'postgres', tls: null };
}

/** As libpq reads it, of which `sslmode` and `sslrootcert` are known here; a password that it lacks is PGPASSWORD's. */
export function parseHerdUrl(text: string) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw new SetupError(
      `"${text.replace(/\/\/[^@/]*@/, '//…@')}" is no connection URL`,
      'It looks like postgresql://user:password@host:5432/database.',
    );
  }
  const user = decodeURIComponent(url.username) || 'postgres';
  return {
    ...{ host: url.hostname.replace(/^\[|\]$/g, '') || host, port: Number(url.port || '5432'), user },
    password: decodeURIComponent(url.password) || (process.env['PGPASSWORD'] ?? ''),
    database: decodeURIComponent(url.pathname.slice(1)) || user,
    tls: readTls(url.searchParams),
  };
}

/** `prefer` would fall back to no encryption unnoticed: it is not known here. */
function readTls(parameters: URLSearchParams): ServerTls | null {
  const unknown = [...parameters.keys()].find((name) => name !== 'sslmode' && name !== 'sslrootcert');
  if (unknown !== undefined) {
    throw new SetupError(`the connection URL says ${unknown}, which is not known here`, 'sslmode and sslrootcert are.');
  }
  const mode = parameters.get('sslmode') ?? 'disable';
  const file = parameters.get('sslrootcert');
  if (mode === 'disable') return null;
  if (mode === 'require' && file === null) return { ca: null };
  if ((mode === 'require' || mode === 'verify-full') && file !== null) {
    try {
      return { ca: readFileSync(file, 'utf8') };
    } catch (error) {
      throw new SetupError(`sslrootcert: ${(error as Error).message}`);
    }
  }
  throw new SetupError(`sslmode=${mode} is not known here`, 'disable, require, or verify-full with sslrootcert=FILE.');
}
