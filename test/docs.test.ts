import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { configSchema } from '../src/cli/config-schema.ts';
import { type AdminParameter, type AdminSignature, adminSignatures } from '../src/schema/admin-signatures.ts';

const root = resolve(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const pages = [...markdownIn('.', false), ...markdownIn('docs', true), ...markdownIn('examples', true)];

test('every relative link of the documents leads to a file', () => {
  const broken = pages.flatMap((page) =>
    linksOf(read(page))
      .filter((link) => !existsSync(resolve(root, dirname(page), link)))
      .map((link) => `${page}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test('README and ARCHITECTURE stay as short as they promise', () => {
  const lines = (file: string) => read(file).trimEnd().split('\n').length;
  expect(lines('README.md')).toBeLessThanOrEqual(150);
  expect(lines('ARCHITECTURE.md')).toBeLessThanOrEqual(400);
});

test('docs/sql.md names every administrative function with its arguments and defaults, and no other', () => {
  const documented = new Map(functionRows(read('docs/sql.md')));
  expect([...documented.keys()].sort()).toEqual(Object.keys(adminSignatures).sort());
  for (const [name, { parameters }] of Object.entries<AdminSignature>(adminSignatures)) {
    expect(documented.get(name), name).toBe(argumentsText(parameters));
  }
});

test('docs/operations.md shows every key of the configuration', () => {
  const text = read('docs/operations.md');
  const [, example = ''] = /```yaml\n(.*?)```/s.exec(text) ?? [];
  const keys = [...Object.keys(configSchema.shape), ...Object.keys(configSchema.shape.citus.unwrap().shape)];
  expect(keys.filter((key) => !new RegExp(`^ *${key}:`, 'm').test(example))).toEqual([]);
});

test('files of the source that the documents name are there', () => {
  const missing = pages.flatMap((page) =>
    [...read(page).matchAll(/`((?:src|test)\/[\w./-]+)`/g)]
      .map(([, path = '']) => path)
      .filter((path) => !existsSync(join(root, path)))
      .map((path) => `${page}: ${path}`),
  );
  expect(missing).toEqual([]);
});

function markdownIn(folder: string, recursive: boolean): string[] {
  return readdirSync(join(root, folder), { recursive, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => relative(root, join(root, folder, name)));
}

function linksOf(text: string): string[] {
  return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^[a-z]+:/.test(link));
}

/** Rows of the table of functions: each name in the first cell, with the arguments as the second cell has them. */
function functionRows(text: string): [string, string][] {
  const section = text.slice(text.indexOf('## Administrative functions'), text.indexOf('### Distributing'));
  return [...section.matchAll(/^\| (`.*?`) \| (.*?) \| /gm)].flatMap(([, names = '', parameters = '']) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, name = '']): [string, string] => [name, parameters]),
  );
}

function argumentsText(parameters: readonly AdminParameter[]): string {
  if (parameters.length === 0) return 'none';
  return parameters
    .map(({ name, type, default: value }) => `\`${name} ${type}${value === undefined ? '' : ` = ${value}`}\``)
    .join(', ');
}
