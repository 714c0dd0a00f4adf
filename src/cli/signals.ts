import type { Log } from '../core/log.ts';

export interface Signals {
  /** Settles with the first request to stop: a signal, or a fault that nothing caught. */
  readonly first: Promise<void>;
  /** Settles when the request is repeated. */
  readonly second: Promise<void>;
  received(): boolean;
  insistent(): boolean;
  exitCode(): number;
}

/** One Ctrl-C may arrive twice: from the terminal and, passed on, from npm. */
const echoMs = 1_000;

/** From here on the process ends only through whoever awaits these: servers must not be left behind. */
export function catchSignals(log: Log): Signals {
  let firstMs: number | undefined;
  let repeated = false;
  let exitCode = 0;
  let resolveFirst = () => {};
  let resolveSecond = () => {};
  const first = new Promise<void>((resolve) => {
    resolveFirst = resolve;
  });
  const second = new Promise<void>((resolve) => {
    resolveSecond = resolve;
  });
  const onSignal = (name: string) => {
    log.info({ signal: name }, 'asked to stop');
    if (firstMs === undefined) {
      firstMs = Date.now();
      resolveFirst();
    } else if (Date.now() - firstMs > echoMs) {
      repeated = true;
      resolveSecond();
    }
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  process.on('uncaughtException', (error) => {
    exitCode = 1;
    log.error({ error: error.stack ?? String(error) }, 'a fault of pgherd; stopping');
    firstMs ??= Date.now();
    resolveFirst();
  });
  return { first, second, received: () => firstMs !== undefined, insistent: () => repeated, exitCode: () => exitCode };
}
