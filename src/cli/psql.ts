import { spawn } from 'node:child_process';
import { errnoCode, SetupError } from '../cluster/setup-error.ts';
import { host } from './herd-report.ts';
import { herdStatus } from './status.ts';
import { connectionUrl } from './terminal.ts';

/** Runs psql against the herd; its exit code is ours. */
export async function psql(dataDir: string, args: readonly string[]): Promise<number> {
  const { router } = await herdStatus(dataDir);
  if (router.port === null || router.state === 'stopped') {
    throw new SetupError(`the herd in ${dataDir} does not run`, 'Start it with pgherd up.');
  }
  const { port } = router;
  const login = ['-h', host, '-p', String(port), '-U', 'postgres', '-d', 'postgres'];
  // While psql has the terminal, Ctrl-C is its own: it cancels a query.
  process.on('SIGINT', () => {});
  return new Promise((resolve, reject) => {
    const child = spawn('psql', [...login, ...args], { stdio: 'inherit' });
    child.on('error', (error) => reject(errnoCode(error) === 'ENOENT' ? noPsql(port) : error));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function noPsql(port: number): SetupError {
  return new SetupError(
    'there is no psql on this machine (the embedded servers come without it)',
    `Install a PostgreSQL client (Debian: apt install postgresql-client), or connect with any driver: ${connectionUrl(port)}`,
  );
}
