import { loadConfig } from './config.ts';
import { openLogStream } from './log-file.ts';
import { catchSignals } from './signals.ts';
import { defaultWorkers, startWorkers } from './workers/start.ts';

/** Runs a router over existing servers until a signal stops it. Resolves with the exit code. */
export async function router(
  configFile: string | undefined,
  workersAsked: number | undefined,
  set: readonly string[],
): Promise<number> {
  const { options, workers: configured, notices } = await loadConfig(configFile, set);
  for (const notice of notices) process.stderr.write(`pgherd: warning: ${notice}\n`);
  const log = openLogStream();
  const signals = catchSignals(log);
  // One router alone over its coordinator needs no lock there; several workers do.
  const workers = workersAsked ?? configured ?? (options.sharesHerd ? defaultWorkers('alone') : 1);
  const running = await startWorkers({ ...options, log }, workers);
  log.info(
    { host: options.listen.host, port: running.port, nodes: options.nodes.length, workers },
    'the router is ready',
  );
  await signals.first;
  await Promise.race([running.stop(), signals.second]);
  return signals.exitCode();
}
