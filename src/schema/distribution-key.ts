import { keyFamily } from '../catalog/key-family.ts';
import { hashFunctionSql } from '../catalog/load-sql.ts';
import type { DistributionMethod, KeyFamily } from '../catalog/snapshot.ts';
import { pgError, unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { arrayText } from './array-text.ts';
import type { TableShape } from './table-shape.ts';

export interface DistributionKey {
  readonly attnums: readonly number[];
  readonly names: readonly string[];
  readonly families: readonly KeyFamily[];
  /** Of the first column: for reading bounds. */
  readonly type: string;
}

/** The columns that `text` names (`'id'`, `'tenant, "Id"'`) as a distribution key, checked against the method. */
export async function readDistributionKey(
  runner: SqlRunner,
  shape: TableShape,
  text: string,
  method: DistributionMethod,
): Promise<DistributionKey> {
  const columns = splitColumns(shape, text);
  if (method !== 'hash' && columns.length > 1) {
    throw pgError('featureNotSupported', `distribution by ${method.toUpperCase()} takes one column`);
  }
  return keyOfColumns(runner, shape, columns.map((column) => column.attnum), method);
}

/** The same for attribute numbers, for the hidden tables of global unique indexes. */
export async function keyOfColumns(
  runner: SqlRunner,
  shape: TableShape,
  attnums: readonly number[],
  method: DistributionMethod,
): Promise<DistributionKey> {
  const { rows } = await runner.query(keyTypesSql, [String(shape.oid), arrayText(attnums)]);
  const types = rows.map(([json]) => JSON.parse(json!) as KeyType);
  for (const type of types) checkKeyType(type, method);
  return {
    attnums,
    names: types.map((type) => type.column),
    families: types.map((type) => keyFamily(type.baseTypeName)),
    type: types[0]!.typeName,
  };
}

function splitColumns(shape: TableShape, text: string): TableShape['columns'][number][] {
  const whole = shape.columns.find((column) => column.name === text);
  if (whole) return [whole];
  const names = [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^",]+?))\s*(?:,|$)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'),
  );
  return names.map((name) => {
    const found =
      shape.columns.find((column) => column.name === name) ??
      shape.columns.find((column) => column.name === name.toLowerCase());
    if (found) return found;
    throw pgError('undefinedColumn', `column "${name}" of relation "${shape.name}" does not exist`);
  });
}

interface KeyType {
  readonly column: string;
  readonly typeName: string;
  readonly baseTypeName: string;
  readonly hashFunction: string | null;
  readonly ordered: boolean;
  readonly isEnum: boolean;
  readonly containsOids: boolean;
  readonly deterministic: boolean;
  readonly bytewise: boolean;
  readonly generated: string;
}

function checkKeyType(key: KeyType, method: DistributionMethod): void {
  const what = `column "${key.column}" of type ${key.typeName}`;
  if (key.generated === 'v') throw unsupported('PH003', `${what} is a virtual generated column, which nothing stores`);
  if (!key.deterministic) throw unsupported('PH003', `${what} has a nondeterministic collation`);
  if (method === 'hash') {
    if (key.isEnum || key.containsOids) {
      throw unsupported('PH003', `${what} cannot be a HASH distribution key: its hash differs between servers`);
    }
    if (key.hashFunction === null) throw unsupported('PH003', `${what} has no hash operator class`);
    return;
  }
  if (key.containsOids || !key.ordered) {
    throw pgError('featureNotSupported', `${what} cannot be a ${method.toUpperCase()} distribution key (PH003)`, {
      hint: 'Distribute by a column whose values have an order and mean the same on every server.',
    });
  }
  if (method === 'range' && !key.bytewise) {
    throw unsupported('PH003', `${what} orders by a locale, so RANGE cannot use it`, {
      hint: 'Give the column COLLATE "C", or distribute it by HASH or LIST.',
    });
  }
}

/** Components of a type: what a domain is over, an array's elements, a composite's columns, a range's bounds. */
const keyTypesSql = `SELECT json_build_object('column', a.attname, 'typeName', pg_catalog.format_type(a.atttypid, a.atttypmod),
  'baseTypeName', pg_catalog.format_type(b.oid, NULL), 'hashFunction', ${hashFunctionSql('b.oid')},
  'ordered', EXISTS (SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
      WHERE o.opcdefault AND (o.opcintype = b.oid OR o.opcintype = 'anyenum'::regtype AND b.typtype = 'e'
        OR EXISTS (SELECT FROM pg_catalog.pg_cast c WHERE c.castsource = b.oid AND c.casttarget = o.opcintype
          AND c.castmethod = 'b' AND c.castcontext = 'i'))),
  'isEnum', parts.enum, 'containsOids', parts.oids, 'generated', a.attgenerated,
  'deterministic', coalesce((SELECT l.collisdeterministic FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation), true),
  'bytewise', a.attcollation = 0 OR EXISTS (SELECT FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation
      AND (l.collname IN ('C', 'POSIX', 'ucs_basic', 'C.UTF-8', 'C.utf8', 'pg_c_utf8')))
    OR a.attcollation = 100 AND EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
      AND (d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8')
        OR d.datlocprovider = 'b' AND to_jsonb(d)->>'datlocale' IN ('C', 'C.UTF-8'))))
FROM unnest($2::smallint[]) WITH ORDINALITY k(attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = $1::oid AND a.attnum = k.attnum
CROSS JOIN LATERAL (WITH RECURSIVE d AS (
    SELECT t.* FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid
    UNION ALL SELECT t.* FROM pg_catalog.pg_type t JOIN d ON t.oid = d.typbasetype)
  SELECT * FROM d WHERE d.typbasetype = 0) b
CROSS JOIN LATERAL (WITH RECURSIVE part(oid) AS (
    SELECT b.oid
    UNION SELECT x.oid FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid
      CROSS JOIN LATERAL (
        SELECT t.typbasetype AS oid WHERE t.typbasetype <> 0
        UNION ALL SELECT t.typelem WHERE t.typcategory = 'A'
        UNION ALL SELECT c.atttypid FROM pg_catalog.pg_attribute c
          WHERE t.typtype = 'c' AND c.attrelid = t.typrelid AND c.attnum > 0 AND NOT c.attisdropped
        UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid OR r.rngmultitypid = t.oid) x)
  SELECT bool_or(t.typtype = 'e') AS enum,
    bool_or(t.typname ~ '^reg' AND t.typnamespace = 'pg_catalog'::regnamespace) AS oids
  FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid) parts
ORDER BY k.place`;
