import { rename, stat } from 'node:fs/promises';

const maxLogBytes = 16 * 1024 * 1024;

/** At a start, a log that has grown is set aside; one older file is kept. */
export async function keepShort(logFile: string): Promise<void> {
  const found = await stat(logFile).catch(() => undefined);
  if (found && found.size > maxLogBytes) await rename(logFile, `${logFile}.1`);
}
