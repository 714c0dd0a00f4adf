import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = resolve(fileURLToPath(import.meta.url), '../..');

/** The folder with data shared between projects: `PGHERD_FIXTURES`, or `../shared` beside the checkout. */
export function fixturesDirectory(): string {
  return resolve(repository, process.env['PGHERD_FIXTURES'] ?? '../shared');
}

/** The path of a fixture, or undefined with one visible line that says what is skipped and how to get it. */
export function findFixture(name: string, neededBy: string): string | undefined {
  const path = join(fixturesDirectory(), name);
  if (existsSync(path)) return path;
  process.stderr.write(`SKIPPED: ${neededBy}: no ${path} (set PGHERD_FIXTURES to the folder that holds ${name})\n`);
  return undefined;
}
