import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseHerdUrl } from './herd-client.ts';

test('a connection URL is read as libpq reads it, encryption and all', () => {
  expect(parseHerdUrl('postgresql://ana:p%40ss@[::1]:6432/dw?sslmode=require')).toEqual({
    ...{ host: '::1', port: 6432, user: 'ana', password: 'p@ss', database: 'dw', tls: { ca: null } },
  });
  expect(parseHerdUrl('postgres://db0')).toMatchObject({
    port: 5432,
    user: 'postgres',
    database: 'postgres',
    tls: null,
  });
  const folder = mkdtempSync(join(tmpdir(), 'pgherd-url-'));
  writeFileSync(join(folder, 'ca.pem'), 'PEM');
  const checked = parseHerdUrl(`postgresql://db0/x?sslmode=verify-full&sslrootcert=${join(folder, 'ca.pem')}`);
  rmSync(folder, { recursive: true });
  expect(checked.tls).toEqual({ ca: 'PEM' });
});

test('what would be less safe than it says is refused', () => {
  expect(() => parseHerdUrl('postgresql://db0/x?sslmode=prefer')).toThrow('sslmode=prefer is not known here');
  expect(() => parseHerdUrl('postgresql://db0/x?sslmode=verify-full')).toThrow('not known here');
  expect(() => parseHerdUrl('postgresql://db0/x?options=-c')).toThrow('says options');
  expect(() => parseHerdUrl('http://ana:secret@db0/x')).toThrow('"http://…@db0/x" is no connection URL');
});
