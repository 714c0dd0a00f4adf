import { askShards, compileRouter, type KeyValue, type Router, type ShardRouting } from '../catalog/route.ts';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import { assert, unreachable } from '../core/assert.ts';
import { PgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { type FieldSource, fieldReader } from './copy-fields.ts';
import type { CopyTarget } from './copy-target.ts';

/** Finds one column's value in a row, or in the fields that are put in front of it. Throws where the row has too few fields. */
export type ValueReader = (row: Buffer, added: Buffer | null) => Buffer | null;

export function valueReader(name: string, target: CopyTarget, added: readonly ColumnEntry[]): ValueReader {
  const { options } = target;
  const source = sourceOf(name, target, added);
  switch (source.kind) {
    case 'field':
      return fieldReader(source.place, name, options);
    case 'added': {
      const read = fieldReader(source.place, name, { ...options, forceNull: none, forceNotNull: none });
      return (_, fields) => (fields === null ? null : read(fields));
    }
    case 'null':
      return () => null;
    default:
      return unreachable(source);
  }
}

/** Places of columns in the rows, and in what is put in front of them; a column that is in neither is NULL. */
function sourceOf(name: string, { columns }: CopyTarget, added: readonly ColumnEntry[]): FieldSource {
  const place = columns.indexOf(name);
  if (place >= 0) return { kind: 'field', place };
  const addedPlace = added.findIndex((column) => column.name === name);
  return addedPlace >= 0 ? { kind: 'added', place: addedPlace } : { kind: 'null' };
}

/** `short`: the row has too few fields for its key, so that any server will refuse it. */
export type Place = ShardRouting | 'short';

export type Placer = (row: Buffer, added: Buffer | null) => Place;

/** The hot path: reads the key from the row's bytes and routes it. */
export function createPlacer(
  target: CopyTarget,
  added: readonly ColumnEntry[],
  route: Router = compileRouter(target.table),
): Placer {
  const readers = keyReaders(target, added);
  const format = target.options.format === 'binary' ? 1 : 0;
  const slots = readers.map(() => ({ format, bytes: nothing }) as { format: 0 | 1; bytes: Buffer });
  const values: KeyValue[] = readers.map(() => null);
  return (row, fields) => {
    try {
      for (let i = 0; i < readers.length; i++) {
        const bytes = readers[i]!(row, fields);
        if (bytes === null) values[i] = null;
        else {
          slots[i]!.bytes = bytes;
          values[i] = slots[i]!;
        }
      }
    } catch (error) {
      if (error instanceof PgError) return 'short';
      throw error;
    }
    return route(values);
  };
}

const nothing = Buffer.alloc(0);
const none: ReadonlySet<string> = new Set();

function keyReaders(target: CopyTarget, added: readonly ColumnEntry[]): ValueReader[] {
  const { distribution } = target.table;
  assert(distribution.kind === 'distributed', 'only rows of distributed tables are routed');
  return distribution.keys.map((key) => valueReader(key.name, target, added));
}

/** `unreadable`: PostgreSQL refuses the key; any server will say how. */
export type AskedPlace = number | 'none' | 'unreadable';

export interface KeyedRow {
  readonly row: Buffer;
  readonly added: Buffer | null;
}

/** Asks PostgreSQL where rows go whose keys only it can read. */
export async function askPlaces(
  runner: SqlRunner,
  rows: readonly KeyedRow[],
  target: CopyTarget,
  added: readonly ColumnEntry[],
): Promise<AskedPlace[]> {
  const readers = keyReaders(target, added);
  const format = target.options.format === 'binary' ? 1 : 0;
  const keys = rows.map((each) =>
    readers.map((read): KeyValue => {
      const bytes = read(each.row, each.added);
      return bytes === null ? null : { format, bytes };
    }),
  );
  return askEach(runner, target, keys);
}

/** One bad value spoils the question: halves are asked until it stands alone. What follows it does not matter, unless bad rows are skipped. */
async function askEach(
  runner: SqlRunner,
  target: CopyTarget,
  keys: readonly (readonly KeyValue[])[],
): Promise<AskedPlace[]> {
  try {
    return await askShards(runner, target.table, keys);
  } catch (error) {
    if (!(error instanceof PgError) || !error.code.startsWith('22')) throw error;
    if (keys.length <= 1) return ['unreadable'];
    const half = keys.length >> 1;
    const first = await askEach(runner, target, keys.slice(0, half));
    if (first.includes('unreadable') && !target.options.skipsErrors) {
      return [...first, ...keys.slice(half).map((): AskedPlace => 'unreadable')];
    }
    return [...first, ...(await askEach(runner, target, keys.slice(half)))];
  }
}
