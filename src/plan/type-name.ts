import type { ColumnEntry } from '../catalog/snapshot.ts';
import type { MotionColumn } from './plan.ts';

/** Built-in types have the same OID on every server: `FirstGenbkiObjectId` in access/transam.h. */
const firstUnstableOid = 10_000;

/** Built-in types that travel as text: arrays that an array can't hold as elements, and values that are OIDs of names. */
const textualOids = new Set([22, 24, 30, 1007, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191]);

/** Written in a cast: `character` and `bit` alone would mean one character, one bit. */
export function castName(typeOid: number, typeName: string): string {
  if (typeName === 'character') return 'bpchar';
  if (typeName === 'bit') return 'pg_catalog."bit"';
  if (typeName === 'character[]') return 'bpchar[]';
  return typeName === 'bit[]' ? 'pg_catalog."bit"[]' : typeOid === 705 ? 'text' : typeName;
}

/** The type without its modifier. */
export function baseTypeName(column: Pick<ColumnEntry, 'typeOid' | 'typmod' | 'typeName'>): string {
  const { typeOid, typmod, typeName } = column;
  if (typmod < 0) return castName(typeOid, typeName);
  if (typeName.startsWith('interval')) return typeName.endsWith('[]') ? 'interval[]' : 'interval';
  const bare = typeName.replace(
    /("(?:[^"]|"")*")|\(-?\d+(?:,-?\d+)?\)/g,
    (_, quoted: string | undefined) => quoted ?? '',
  );
  return castName(typeOid, bare);
}

/** A column of a table as it travels under another name. */
export function motionColumn(name: string, column: ColumnEntry): MotionColumn {
  const { typeOid, collation } = column;
  const typeName = castName(typeOid, column.typeName);
  return { name, typeOid, typeName, collation, viaText: isTextual(typeOid, typeName) };
}

/** Whether values of the type travel as text. */
export function isTextual(typeOid: number, typeName: string): boolean {
  return typeOid >= firstUnstableOid || textualOids.has(typeOid) || typeName.endsWith('[]');
}

/** As assignment makes it: a string that is too long is an error, which an explicit cast would cut. */
export function assignedSql(
  value: string,
  { typeOid, typmod, typeName }: Pick<ColumnEntry, 'typeOid' | 'typmod' | 'typeName'>,
): string {
  const length = lengthFunctions.get(typeOid);
  if (typmod < 0 || length === undefined) return `(${value})::${castName(typeOid, typeName)}`;
  return `pg_catalog.${length.name}((${value})::${length.type}, ${typmod}, false)`;
}

const lengthFunctions: ReadonlyMap<number, { readonly name: string; readonly type: string }> = new Map([
  [1042, { name: 'bpchar', type: 'pg_catalog.bpchar' }],
  [1043, { name: '"varchar"', type: 'pg_catalog."varchar"' }],
  [1560, { name: '"bit"', type: 'pg_catalog.varbit' }],
  [1562, { name: 'varbit', type: 'pg_catalog.varbit' }],
]);
