import fc from 'fast-check';
import { expect, test } from 'vitest';
import { typeOids } from '../catalog/hash/key-types.ts';
import type { DistributedTable } from '../catalog/snapshot.ts';
import { PgError } from '../core/errors.ts';
import { type CopyOptions, readCopyOptions } from './copy-options.ts';
import { createPlacer } from './copy-place.ts';
import { PlainRows } from './copy-plain-rows.ts';
import { CopyRowSource } from './copy-rows.ts';
import type { CopyTarget } from './copy-target.ts';

const columns = ['a', 'b', 'c'];

function target(format: 'text' | 'csv', key: { place: number; type: 'int4' | 'text' }): CopyTarget {
  const base = readCopyOptions([], columns);
  const csv = { ...base.bytes, delimiter: 0x2c, null: Buffer.alloc(0) };
  const options: CopyOptions = { ...base, format, bytes: format === 'csv' ? csv : { ...base.bytes, delimiter: 0x2c } };
  const shards = Array.from({ length: 4 }, (_, index) => ({
    ...{ index, nodeId: index % 2, bounds: { kind: 'hash', modulus: 4, remainder: index } },
  }));
  const keyColumn = {
    ...{ name: columns[key.place], attnum: key.place + 1, typeOid: typeOids[key.type], typeName: key.type },
    ...{ family: key.type, collation: null, bytewise: true },
  };
  const distribution = {
    kind: 'distributed',
    keys: [keyColumn],
    group: { id: 1, method: 'hash', families: [], shards },
  };
  const table = { name: 't', schema: 'public', distribution } as unknown as DistributedTable;
  return { table, columns, options, optionsSql: '', whereSql: '' };
}

/** Rows with line and place, and the error that ended them, `take` for each chunk. */
function read(given: CopyTarget, chunks: readonly Buffer[], plain: PlainRows | null): string[] {
  const source = new CopyRowSource(given, 180_000);
  const place = createPlacer(given, []);
  const found: string[] = [];
  const say = (text: string, line: number, embedded: number, shard: unknown) =>
    found.push(JSON.stringify([text, line, embedded, shard]));
  const onRow = (row: Buffer, line: number, embedded: number) =>
    say(row.toString('latin1'), line, embedded, place(row, null));
  let pending = '';
  const lines = {
    row(shard: number, chunk: Buffer, start: number, end: number, line: number) {
      expect(chunk[end - 1]).toBe(0x0a);
      pending = 'rows';
      say(chunk.toString('latin1', start, end - 1), line, 0, shard);
    },
    end() {
      pending = '';
    },
  };
  try {
    for (const chunk of chunks) {
      if (plain === null) source.push(chunk, onRow);
      else source.pushPlain(chunk, onRow, plain, lines);
      expect(pending).toBe('');
    }
    source.finish(onRow);
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    found.push(`${error.message} ${error.fields.where}`);
  }
  return [...found, `line ${source.line}`];
}

const plainField = fc.oneof(
  fc.integer({ min: -9, max: 99_999 }).map(String),
  fc.constantFrom('', 'x', '\\N', 'a b', '\\,', '\\\\', '\\n', 'ä', 'y'.repeat(70)),
);
const oddField = fc.constantFrom('"q"', '"a\nb"', '""', '\\\n', '\\.', '"', '\r', '.', '\\');
const field = fc.oneof({ weight: 12, arbitrary: plainField }, { weight: 1, arbitrary: oddField });
const row = fc.array(field, { minLength: 1, maxLength: 4 }).map((fields) => fields.join(','));
const ending = fc.oneof(
  { weight: 15, arbitrary: fc.constant('\n') },
  { weight: 1, arbitrary: fc.constantFrom('\r\n', '\r') },
);
const data = fc
  .array(
    fc.tuple(row, ending).map((parts) => parts.join('')),
    { maxLength: 40 },
  )
  .map((rows) => rows.join(''));

test.each([
  ['csv', 0, 'int4'],
  ['csv', 2, 'text'],
  ['text', 0, 'int4'],
  ['text', 1, 'text'],
] as const)('rows of the common kind are the rows that the general way gives: %s, key %i', (format, place, type) => {
  const given = target(format, { place, type });
  fc.assert(
    fc.property(data, fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 12 }), (text, cuts) => {
      const bytes = Buffer.from(text);
      const chunks: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) {
        chunks.push(bytes.subarray(at, at + cut));
        at += cut;
      }
      chunks.push(bytes.subarray(at));
      expect(read(given, chunks, PlainRows.of(given, []))).toEqual(read(given, chunks, null));
    }),
    { numRuns: 500 },
  );
});
