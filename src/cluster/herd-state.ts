import { readFile, rename, writeFile } from 'node:fs/promises';

/** What an embedded herd keeps over restarts, beside the servers' data: its size and its ports. */
export interface HerdState {
  readonly nodes: number;
  readonly routerPort?: number;
  /** Of the dashboard; null: it is switched off. */
  readonly httpPort?: number | null;
  /** By server name: `coordinator`, `worker1`, … */
  readonly serverPorts: Readonly<Record<string, number>>;
}

/** Undefined when there is none or it is damaged: everything in it can be found again or chosen anew. */
export async function readHerdState(file: string): Promise<HerdState | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  try {
    const state = JSON.parse(text);
    return Number.isInteger(state.nodes) && typeof state.serverPorts === 'object' ? state : undefined;
  } catch {
    return undefined;
  }
}

export async function writeHerdState(file: string, state: HerdState): Promise<void> {
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(state, null, 2)}\n`);
  await rename(draft, file);
}

export const coordinatorName = 'coordinator';

export function nodeNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `worker${i + 1}`);
}

export function serverNames(nodes: number): string[] {
  return [coordinatorName, ...nodeNames(nodes)];
}
