import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDataRoot, dataRootAt } from '../cluster/data-root.ts';
import { SetupError } from '../cluster/setup-error.ts';
import type { ReadyHerd, Report, UpOptions } from './herd-report.ts';

/** What a detached supervisor tells the process that started it, until the herd is ready. */
type Message =
  | { readonly kind: 'progress'; readonly message: string }
  | { readonly kind: 'ready'; readonly herd: ReadyHerd }
  | { readonly kind: 'failed'; readonly message: string; readonly hint: string };

/** Starts `pgherd up` as a process of its own and resolves when its herd answers queries. */
export async function upDetached(options: UpOptions, report: Report): Promise<void> {
  const root = dataRootAt(options.dataDir);
  await createDataRoot(root);
  const outputFile = join(root.logDir, 'supervisor.log');
  const child = spawnSupervisor(options, outputFile);
  const passOn = () => void child.kill('SIGTERM');
  process.on('SIGINT', passOn).on('SIGTERM', passOn);
  try {
    await untilReady(child, report, outputFile);
  } finally {
    process.off('SIGINT', passOn).off('SIGTERM', passOn);
    if (child.connected) child.disconnect();
    child.unref();
  }
}

function spawnSupervisor(options: UpOptions, outputFile: string): ChildProcess {
  const { dataDir, port, nodes, workers, configFile } = options;
  const args = ['up', '--supervisor', '--data', dataDir];
  if (port !== undefined) args.push('--port', String(port));
  if (nodes !== undefined) args.push('--nodes', String(nodes));
  if (workers !== undefined) args.push('--workers', String(workers));
  if (configFile !== undefined) args.push('--config', configFile);
  for (const assignment of options.set) args.push('--set', assignment);
  const output = openSync(outputFile, 'a', 0o600);
  try {
    // With our own flags, such as the TypeScript loader in development.
    const command = [...process.execArgv, process.argv[1]!, ...args];
    return spawn(process.execPath, command, { detached: true, stdio: ['ignore', output, output, 'ipc'] });
  } finally {
    closeSync(output);
  }
}

function untilReady(child: ChildProcess, report: Report, outputFile: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('message', (message: Message) => {
      switch (message.kind) {
        case 'progress':
          return report.progress(message.message);
        case 'ready':
          report.ready(message.herd);
          return resolve();
        case 'failed':
          return reject(new SetupError(message.message, message.hint));
      }
    });
    child.on('exit', (code, signal) => {
      const lines = readFileSync(outputFile, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
      reject(new SetupError(`the herd ended before it was ready (${signal ?? `exit code ${code}`}):\n${lines}`));
    });
  });
}

/** The other end: reports over the channel while the parent listens. */
export function parentReport(): Report {
  return {
    progress: (message) => tell({ kind: 'progress', message }),
    ready: (herd) => {
      tell({ kind: 'ready', herd });
      if (process.connected) process.disconnect();
    },
  };
}

export function reportFailure(message: string, hint: string): void {
  tell({ kind: 'failed', message, hint });
}

function tell(message: Message): void {
  // The parent may be gone: the herd starts all the same.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
