import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { impureModules, pureRooms, rooms } from './rooms.ts';

const root = resolve(import.meta.dirname, '..', 'src');

interface Import {
  readonly file: string;
  readonly room: string;
  readonly module: string;
  /** The room that is imported; null for packages and Node's own modules. */
  readonly target: string | null;
}

const imports = sourceFiles(root).flatMap(importsOf);

test('no room imports a room that its arrows do not name', () => {
  const broken = imports.filter(
    ({ room, target }) => target !== null && target !== room && !rooms[room]?.includes(target),
  );
  expect(broken.map(({ file, module }) => `${file} imports ${module}`)).toEqual([]);
});

test('every folder under src is a room', () => {
  const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map((folder) => folder.name).filter((name) => !(name in rooms))).toEqual([]);
});

test('the arrows between rooms have no cycle', () => {
  const visit = (room: string, path: readonly string[]): string[] => {
    if (path.includes(room)) return [[...path, room].join(' -> ')];
    return (rooms[room] ?? []).flatMap((next) => visit(next, [...path, room]));
  };
  expect(Object.keys(rooms).flatMap((room) => visit(room, []))).toEqual([]);
});

test('pure rooms import nothing that touches the world', () => {
  const broken = imports.filter(
    ({ room, module, file }) =>
      pureRooms.includes(room) && impureModules.includes(module) && !file.endsWith('.test.ts'),
  );
  expect(broken.map(({ file, module }) => `${file} imports ${module}`)).toEqual([]);
});

test('pure rooms set no timers', () => {
  const files = sourceFiles(root).filter((file) => pureRooms.includes(roomOf(file)) && !file.endsWith('.test.ts'));
  const timers = files.filter((file) => /\bset(?:Timeout|Interval|Immediate)\(/.test(readFileSync(file, 'utf8')));
  expect(timers.map((file) => relative(root, file))).toEqual([]);
});

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const pattern =
    /^\s*(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|^import\s+['"]([^'"]+)['"]/gm;
  return [...text.matchAll(pattern)].map((match) => {
    const module = match[1] ?? match[2] ?? match[3] ?? '';
    const inside = module.startsWith('.') ? resolve(dirname(file), module) : null;
    const target = inside?.startsWith(`${root}/`) ? roomOf(inside) : null;
    return { file: relative(root, file), room: roomOf(file), module, target };
  });
}

function roomOf(file: string): string {
  return relative(root, file).split('/')[0] ?? '';
}
