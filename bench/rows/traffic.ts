import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasProgram } from './programs.ts';
import type { Protocol, Script } from './row.ts';

export interface Load {
  readonly port: number;
  readonly database: string;
  readonly protocol: Protocol;
  readonly script: Script;
  readonly clients: number;
  readonly seconds: number;
}

export interface Traffic {
  readonly transactions: number;
  readonly perSecond: number;
  /** Only of one client. */
  readonly p50Us: number | null;
  readonly p99Us: number | null;
}

export const generator = () => (hasProgram('pgbench') ? 'pgbench' : 'its own');

/** Runs the load in a process of its own: pgbench, or where there is none `load-client.ts`. */
export async function runLoad(load: Load): Promise<Traffic> {
  if (generator() !== 'pgbench') return JSON.parse(await output(process.execPath, ownArguments(load)));
  const dir = mkdtempSync(join(tmpdir(), 'pgherd-bench-load-'));
  try {
    return await runPgbench(load, dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function runPgbench(load: Load, dir: string): Promise<Traffic> {
  const file = join(dir, 'script.sql');
  writeFileSync(file, pgbenchScript(load.script));
  const { clients, protocol, seconds, port, database } = load;
  const logs = clients === 1 ? ['--log', `--log-prefix=${join(dir, 'log')}`] : [];
  const text = await output('pgbench', [
    ...['-n', '-M', protocol, '-c', String(clients), '-j', String(Math.min(clients, 2)), '-T', String(seconds)],
    ...['--max-tries=10', '-f', file, ...logs, '-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', database],
  ]);
  // pgbench says nothing of a speed when no transaction has come to its end.
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
  const latenciesUs = readdirSync(dir)
    .filter((name) => name.startsWith('log'))
    .flatMap((name) => readFileSync(join(dir, name), 'utf8').trimEnd().split('\n'))
    .map((line) => Number(line.split(' ')[2]));
  return {
    transactions: number(/actually processed: (\d+)/),
    perSecond: number(/tps = ([\d.]+)/),
    p50Us: percentile(latenciesUs, 0.5),
    p99Us: percentile(latenciesUs, 0.99),
  };
}

function pgbenchScript({ draws, statements }: Script): string {
  const sets = draws.map(({ name, low, high }) => `\\set ${name} random(${low}, ${high})\n`);
  return `${sets.join('')}${statements.map((statement) => `${statement};\n`).join('')}`;
}

export function percentile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}

function ownArguments(load: Load): string[] {
  return ['--import', 'tsx', join(import.meta.dirname, 'load-client.ts'), JSON.stringify(load)];
}

/** What a program wrote to its standard output. */
export function output(file: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    let complaints = '';
    child.stdout.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
    child.stderr.setEncoding('utf8').on('data', (part) => {
      complaints = `${complaints}${part}`.slice(-2_000);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${file} ended with ${code}:\n${complaints.trim()}`));
    });
  });
}
