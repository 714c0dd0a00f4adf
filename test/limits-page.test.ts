import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unsupportedCodes } from '../src/core/unsupported.ts';

const page = join(import.meta.dirname, '..', 'docs', 'limits.md');

test('docs/limits.md lists every code of the table (UPDATE_GOLDEN=1 rewrites it)', () => {
  const text = limitsPage();
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(page, text);
  expect(existsSync(page) ? readFileSync(page, 'utf8') : '').toBe(text);
});

function limitsPage(): string {
  const rows = Object.entries(unsupportedCodes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { title, hint }]) => `| ${code} | ${cell(title)} | ${cell(hint)} |`);
  return [
    '# Limits',
    '',
    'What pgherd refuses, it refuses with SQLSTATE 0A000 and one of these codes in the message. A code is never reused.',
    'This page is printed from `src/core/unsupported.ts`.',
    '',
    '| code | what | what to do |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

const cell = (text: string) => text.replaceAll('|', '\\|');
