import { hasProgram } from './programs.ts';
import type { BulkRow } from './row.ts';
import { output } from './traffic.ts';

/** COPY needs a client that streams files. */
export const canCopy = () => hasProgram('psql');

/** One run of the row on a server or router; gives seconds, psql's start included. */
export async function runBulk({ work }: BulkRow, url: string, file: string): Promise<number> {
  const started = performance.now();
  await psql(url, 'sql' in work ? work.sql : `\\copy ${work.copy.replace('FILE', `'${file}'`)}`);
  return (performance.now() - started) / 1000;
}

export async function psql(url: string, command: string): Promise<void> {
  await output('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', url, '-c', command]);
}
