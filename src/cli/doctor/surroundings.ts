import { spawnSync } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { herdStatus } from '../status.ts';

/** Something about this machine, or the embedded herd on it. */
export interface LocalFinding {
  readonly check: 'machine';
  readonly state: 'warning' | 'error';
  readonly message: string;
  readonly advice: string;
}

const lowDiskBytes = 2 ** 30;

/** `dataDir`: of an embedded herd; undefined: the cluster is elsewhere. */
export async function examineMachine(dataDir: string | undefined): Promise<LocalFinding[]> {
  const findings: LocalFinding[] = [];
  const say = (state: LocalFinding['state'], message: string, advice: string) =>
    void findings.push({ check: 'machine', state, message, advice });
  if (spawnSync('psql', ['--version']).status !== 0) {
    say(
      'warning',
      'there is no psql on this machine',
      'pgherd psql needs it (Debian: apt install postgresql-client); drivers do not.',
    );
  }
  if (dataDir === undefined) return findings;
  const status = await herdStatus(dataDir);
  for (const part of [status.router, status.coordinator, ...status.nodes]) {
    if (part.state !== 'running')
      say(
        'error',
        `${part.name} is ${part.state}`,
        'pgherd up starts the herd; log/ in its folder says why a server ended.',
      );
  }
  const { bavail, bsize } = await statfs(dataDir);
  if (bavail * bsize < lowDiskBytes) {
    say(
      'error',
      `the disk of ${dataDir} has ${Math.floor((bavail * bsize) / 2 ** 20)} MiB left`,
      'Make room: PostgreSQL stops when it is full.',
    );
  }
  return findings;
}
