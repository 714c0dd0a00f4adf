import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { probe } from '../cluster/probe.ts';
import { stopOrphans } from '../cluster/server.ts';
import { host } from './herd-report.ts';

export interface EmbeddedServerPlace {
  readonly dataDir: string;
  readonly logFile: string;
  readonly port: number;
}

export interface FailedRestart {
  /** The last lines that the server wrote. */
  readonly log: string;
  /** The server runs again, without what ALTER SYSTEM had set. */
  readonly restored: boolean;
  readonly savedAs: string;
}

const startWaitMs = 45_000;
const pollMs = 200;

/** Stops a server of a running embedded herd: its supervisor starts it again, with its new settings. null: it answers. */
export async function restartEmbeddedServer(server: EmbeddedServerPlace): Promise<FailedRestart | null> {
  await stopOrphans(server.dataDir);
  if (await answers(server)) return null;
  const log = (await readFile(server.logFile, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-5).join('\n');
  const settings = join(server.dataDir, 'postgresql.auto.conf');
  const savedAs = `${settings}.failed`;
  // A missing file sets nothing.
  await rename(settings, savedAs);
  return { log, restored: await answers(server), savedAs };
}

async function answers({ port }: EmbeddedServerPlace): Promise<boolean> {
  const deadlineMs = Date.now() + startWaitMs;
  while (Date.now() < deadlineMs) {
    await sleep(pollMs);
    if ((await probe(host, port)).kind === 'running') return true;
  }
  return false;
}
