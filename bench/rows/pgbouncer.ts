import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { giveTo, serverAccount, spawnOptions } from '../../src/cluster/account.ts';
import { isPortFree, nextFreePort } from '../../src/cluster/port.ts';
import { limits } from '../../src/core/limits.ts';
import { hasProgram } from './programs.ts';

export interface Pooler {
  readonly version: string;
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

/** Names of its databases, by how they share connections. Its transaction mode loses prepared statements before 1.21. */
export const poolerDatabases = { session: 'by_session', transaction: 'by_transaction' } as const;

/** PgBouncer in front of a server, with as many connections as the router may have to one; null where it is not installed. */
export async function startPooler(dir: string, serverPort: number): Promise<Pooler | null> {
  if (!hasProgram('pgbouncer')) return null;
  const port = await nextFreePort(23_000);
  mkdirSync(dir, { recursive: true });
  const account = serverAccount();
  giveTo(account, dir);
  const file = join(dir, 'pgbouncer.ini');
  writeFileSync(file, settings(port, serverPort));
  chmodSync(file, 0o644);
  const child = spawn('pgbouncer', ['-q', file], { ...spawnOptions(account, '/'), stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for (let tries = 0; (await isPortFree(port)) && tries < 100; tries++) await sleep(50);
  const version = spawnSync('pgbouncer', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0] ?? '';
  const stop = () => {
    child.kill('SIGINT');
    return ended;
  };
  return { version, pid: child.pid!, port, stop };
}

function settings(port: number, serverPort: number): string {
  const target = `host=127.0.0.1 port=${serverPort} dbname=postgres user=postgres`;
  return `[databases]
${poolerDatabases.session} = ${target} pool_mode=session
${poolerDatabases.transaction} = ${target} pool_mode=transaction
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
max_client_conn = 10000
default_pool_size = ${limits.maxConnectionsPerPool}
ignore_startup_parameters = extra_float_digits
`;
}
