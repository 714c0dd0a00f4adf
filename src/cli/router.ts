import { loadConfig } from './config.ts';
import { openLogStream } from './log-file.ts';
import { startRouter } from './serve.ts';
import { catchSignals } from './signals.ts';

/** Runs a router over existing servers until a signal stops it. Resolves with the exit code. */
export async function router(configFile: string): Promise<number> {
  const { options, notices } = await loadConfig(configFile);
  for (const notice of notices) process.stderr.write(`pgherd: warning: ${notice}\n`);
  const log = openLogStream();
  const signals = catchSignals(log);
  const running = await startRouter({ ...options, log });
  log.info({ host: options.listen.host, port: running.port, nodes: options.nodes.length }, 'the router is ready');
  await signals.first;
  await Promise.race([running.stop(), signals.second]);
  return signals.exitCode();
}
