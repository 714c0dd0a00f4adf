import { ServerConnection } from '../backend/server-connection.ts';
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
  const address = url === undefined ? await embedded(data) : fromUrl(url);
  const { password, ...target } = address;
  const secret = password === '' ? ({ kind: 'none' } as const) : ({ kind: 'password', password } as const);
  // What we ask is no statement of the users'.
  const settings = new Map([
    ['application_name', 'pgherd'],
    ['pgherd.measure', 'off'],
  ]);
  return ServerConnection.open({ label: 'router', ...target, secret, tls: null }, settings);
}

async function embedded(dataDir: string) {
  const { router } = await herdStatus(dataDir);
  if (router.port === null || router.state === 'stopped') {
    throw new SetupError(`the herd in ${dataDir} does not run`, 'Start it with pgherd up, or name another with --url.');
  }
  return { host, port: router.port, user: 'postgres', password: '', database: 'postgres' };
}

function fromUrl(text: string) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw new SetupError(
      `"${text}" is no connection URL`,
      'It looks like postgresql://user:password@host:5432/database.',
    );
  }
  const user = decodeURIComponent(url.username) || 'postgres';
  return {
    ...{ host: url.hostname.replace(/^\[|\]$/g, '') || host, port: Number(url.port || '5432'), user },
    ...{ password: decodeURIComponent(url.password), database: decodeURIComponent(url.pathname.slice(1)) || user },
  };
}
