import { classifyKeyType, describeKeyType } from '../catalog/key-type.ts';
import {
  type Distribution,
  type DistributionMethod,
  isKeyed,
  isOnOneNode,
  type KeyColumn,
  type KeyedMethod,
  type KeyFamily,
} from '../catalog/snapshot.ts';
import { pgError, unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { type ColumnShape, columnsOf, type TableShape } from './table-shape.ts';

export interface DistributionKey {
  readonly columns: readonly KeyColumn[];
  readonly attnums: readonly number[];
  readonly families: readonly KeyFamily[];
}

const noKey: DistributionKey = { columns: [], attnums: [], families: [] };

/**
 * Attribute numbers of the key that says where a row is; null: nothing does, for rows are spread at random. None, where all rows are on
 * one node.
 */
export function placingColumns(distribution: Extract<Distribution, { kind: 'distributed' }>): readonly number[] | null {
  if (isOnOneNode(distribution)) return [];
  return isKeyed(distribution) ? distribution.keys.map((key) => key.attnum) : null;
}

/** The columns that `text` names (`'id'`, `'tenant, "Id"'`) as a distribution key, checked against the method. */
export async function readDistributionKey(
  runner: SqlRunner,
  shape: TableShape,
  text: string,
  method: DistributionMethod,
): Promise<DistributionKey> {
  if (method === 'random') return noKey;
  const columns = splitColumns(shape, text);
  if (method !== 'hash' && columns.length > 1) {
    throw pgError('featureNotSupported', `distribution by ${method.toUpperCase()} takes one column`);
  }
  return keyOfColumns(
    runner,
    shape,
    columns.map((column) => column.attnum),
    method,
  );
}

/** The same for attribute numbers, for the hidden tables of global unique indexes. */
export async function keyOfColumns(
  runner: SqlRunner,
  shape: TableShape,
  attnums: readonly number[],
  method: DistributionMethod,
): Promise<DistributionKey> {
  if (method === 'random') return noKey;
  const columns: KeyColumn[] = [];
  for (const column of columnsOf(shape, attnums)) columns.push(await keyColumn(runner, shape, column, method));
  return { columns, attnums, families: columns.map((column) => column.family) };
}

async function keyColumn(
  runner: SqlRunner,
  shape: TableShape,
  column: ColumnShape,
  method: KeyedMethod,
): Promise<KeyColumn> {
  const refuse = (reason: string, hint?: string) =>
    unsupported('PH003', `column "${column.name}" cannot be a ${method.toUpperCase()} distribution key: ${reason}`, {
      ...(hint ? { hint } : {}),
    });
  if (column.generated === 'v') throw refuse('a virtual generated column is stored nowhere', 'Make it STORED.');
  const { rows } = await runner.query(
    'SELECT atttypid, attcollation FROM pg_catalog.pg_attribute WHERE attrelid = $1::oid AND attnum = $2::smallint',
    [String(shape.oid), String(column.attnum)],
  );
  const [typeOid, collationOid] = rows[0]!.map(Number);
  const found = classifyKeyType(method, await describeKeyType(runner, typeOid!, collationOid!));
  if (found.kind === 'refused') throw refuse(found.reason, found.hint);
  const { name, attnum, type, collation } = column;
  return { name, attnum, typeOid: typeOid!, typeName: type, family: found.family, collation };
}

function splitColumns(shape: TableShape, text: string): ColumnShape[] {
  const whole = shape.columns.find((column) => column.name === text);
  if (whole) return [whole];
  const parts = [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^",]+?))\s*(?:,|$)/g)];
  if (parts.length === 0) throw pgError('invalidParameterValue', 'a distribution column must be named');
  return parts.map(([, quoted, plain]) => {
    const name = quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"');
    const found =
      shape.columns.find((column) => column.name === name) ??
      shape.columns.find((column) => quoted === undefined && column.name === name.toLowerCase());
    if (found) return found;
    throw pgError('undefinedColumn', `column "${name}" of relation "${shape.name}" does not exist`);
  });
}
