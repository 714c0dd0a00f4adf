import { destination, type Logger, multistream, pino } from 'pino';
import { keepShort } from '../cluster/keep-short.ts';
import type { Log } from '../core/log.ts';

/** JSON lines to `file`; warnings and errors also as a line for people to standard error. */
export async function openLogFile(file: string): Promise<Log> {
  await keepShort(file);
  const toFile = destination({ dest: file, mkdir: true, sync: true });
  const toTerminal = { write: (line: string) => void process.stderr.write(forPeople(line)) };
  return asLog(
    pino(
      { base: null, level: 'info' },
      multistream([
        { level: 'info', stream: toFile },
        { level: 'warn', stream: toTerminal },
      ]),
    ),
  );
}

/** JSON lines to standard output, as supervisors and containers want them. */
export function openLogStream(): Log {
  return asLog(pino({ base: null, level: 'info' }, destination({ dest: 1, sync: true })));
}

function asLog(logger: Logger): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}

function forPeople(line: string): string {
  const { level, time: _, msg, ...fields } = JSON.parse(line);
  const details = Object.entries(fields).map(
    ([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return `pgherd: ${level >= 50 ? 'error' : 'warning'}: ${msg}${details.join('')}\n`;
}
