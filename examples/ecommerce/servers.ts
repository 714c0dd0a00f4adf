import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openEmbeddedHerd } from '../../src/cluster/embedded.ts';
import { silentLog } from '../../src/core/log.ts';

export interface Servers {
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

const dataDir = join(tmpdir(), `pgherd-ecommerce-${process.pid}`);
const say = (message: string) => void process.stderr.write(`${message}\n`);

/** Three PostgreSQL servers, and nothing in front of them. */
export async function startServers(): Promise<Servers> {
  const herd = await openEmbeddedHerd({ dataDir, nodes: 3, log: silentLog, onProgress: say });
  const stop = async () => {
    await herd.stop('immediate');
    await rm(dataDir, { recursive: true, force: true });
  };
  return { urls: herd.nodes.map(({ host, port }) => `postgresql://postgres@${host}:${port}/postgres`), stop };
}

/** A herd with three nodes: `pgherd up --detach`. */
export async function startRouterHerd(): Promise<Servers> {
  const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');
  const pgherd = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', main, ...args, '--data', dataDir]);
  await pgherd('up', '--detach', '--nodes', '3');
  const { url } = JSON.parse((await pgherd('status', '--json')).stdout);
  const stop = async () => {
    await pgherd('down');
    await rm(dataDir, { recursive: true, force: true });
  };
  return { urls: [url], stop };
}
