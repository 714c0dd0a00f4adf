import { unsupported } from '../core/errors.ts';

const notSettings = new Set(['user', 'database', 'options', 'replication']);

/** The settings of a startup packet: its parameters, and those of `options` (`-c name=value`, `--name=value`). */
export function startupSettings(parameters: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (const [name, value] of optionSettings(parameters.get('options') ?? '')) settings.set(name, value);
  for (const [name, value] of parameters) {
    if (!notSettings.has(name) && !name.startsWith('_pq_.')) settings.set(name.toLowerCase(), value);
  }
  const encoding = settings.get('client_encoding');
  if (encoding !== undefined) {
    requireUtf8(encoding, 'FATAL');
    // Servers always speak UTF8 with the router.
    settings.delete('client_encoding');
  }
  return settings;
}

/** The router reads statements as UTF-8, so a client may speak nothing else. */
export function requireUtf8(encoding: string, severity: 'ERROR' | 'FATAL' = 'ERROR'): void {
  const canonical = encoding.replaceAll(/[^a-z0-9]/gi, '').toLowerCase();
  if (canonical === 'utf8' || canonical === 'unicode' || canonical === 'sqlascii') return;
  throw unsupported('PH009', `client_encoding "${encoding}"`, { severity });
}

function* optionSettings(options: string): Iterable<[string, string]> {
  const words = [...options.matchAll(/(?:\\.|[^\s\\])+/gs)].map((match) => match[0].replaceAll(/\\(.)/gs, '$1'));
  for (let index = 0; index < words.length; index++) {
    let word = words[index]!;
    if (word === '-c') word = words[++index] ?? '';
    else if (word.startsWith('-c')) word = word.slice(2);
    else if (word.startsWith('--')) word = word.slice(2);
    else continue;
    const at = word.indexOf('=');
    if (at > 0) yield [word.slice(0, at).replaceAll('-', '_').toLowerCase(), word.slice(at + 1)];
  }
}
