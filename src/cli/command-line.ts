import { InvalidArgumentError, Option } from 'commander';
import { dataRootAt, defaultDataDir } from '../cluster/data-root.ts';

/** What the shell is told. */
export const exitCodes = { done: 0, failed: 1, misused: 2, notRunning: 3 } as const;

export const dataOption = () =>
  new Option('--data <dir>', 'folder of the herd')
    .env('PGHERD_DATA')
    .default(defaultDataDir(process.cwd()))
    .argParser((dir) => {
      if (dir === '') throw new InvalidArgumentError('It is empty.');
      return dataRootAt(dir).dir;
    });

/** For commands that work on any PostgreSQL, a router or a single server. */
export const urlOption = () =>
  new Option('--url <url>', 'any cluster or server: postgresql://user:password@host:port/database').env('PGHERD_URL');

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 65_535)
    throw new InvalidArgumentError('It must be a whole number from 1 to 65535.');
  return value;
}

/** Commands that ran servers or listeners leave nothing that must be waited for, but what was written to a pipe has to get out. */
export function leave(exitCode: number): void {
  process.exitCode = exitCode;
  process.stdout.write('', () => process.stderr.write('', () => process.exit()));
}
