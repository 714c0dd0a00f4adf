import type { KeptForeignKey } from '../../catalog/foreign-key.ts';
import type { CatalogSnapshot, ColumnEntry, RelationEntry } from '../../catalog/snapshot.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../../sql/quote.ts';
import type { KeyValues } from './key-report.ts';

/*
 * The statements by which foreign keys are kept. Values are literals of the side that they were reported from, so that PostgreSQL compares
 * them as it compares the columns.
 */

export interface KeySides {
  readonly key: KeptForeignKey;
  readonly child: RelationEntry;
  readonly parent: RelationEntry;
}

export function sidesOf(key: KeptForeignKey, snapshot: CatalogSnapshot): KeySides {
  return { key, child: snapshot.relationsByOid.get(key.child)!, parent: snapshot.relationsByOid.get(key.parent)! };
}

type Side = 'child' | 'parent';

/** Rows of the referenced table that have these values, locked until the transaction ends. */
export function parentsSql(sides: KeySides, from: Side, rows: readonly KeyValues[]): string {
  return `SELECT 1 FROM ${nameOf(sides.parent)} AS t WHERE ${anyOf(sides, 'parent', from, rows)} FOR KEY SHARE`;
}

/** Rows of the referencing table that have these values. */
export function childrenSql(sides: KeySides, from: Side, rows: readonly KeyValues[]): string {
  return `SELECT 1 FROM ${nameOf(sides.child)} AS t WHERE ${anyOf(sides, 'child', from, rows)} LIMIT 1`;
}

/** The conditions alone, for a look at the nodes themselves. */
export function childrenCondition(sides: KeySides, from: Side, rows: readonly KeyValues[]): string {
  return anyOf(sides, 'child', from, rows);
}

export function deleteChildrenSql(sides: KeySides, rows: readonly KeyValues[]): string {
  return `DELETE FROM ${nameOf(sides.child)} AS t WHERE ${anyOf(sides, 'child', 'parent', rows)}`;
}

/** SET NULL or SET DEFAULT. */
export function resetChildrenSql(
  sides: KeySides,
  rows: readonly KeyValues[],
  value: 'NULL' | 'DEFAULT',
  columns: readonly string[],
): string {
  const set = columns.map((name) => `${quoteIdentifier(name)} = ${value}`).join(', ');
  return `UPDATE ${nameOf(sides.child)} AS t SET ${set} WHERE ${anyOf(sides, 'child', 'parent', rows)}`;
}

/** All at once: what one row becomes may be what another one was. */
export function followParentsSql(
  sides: KeySides,
  changes: readonly { readonly was: KeyValues; readonly becomes: KeyValues }[],
): string {
  const { key, child, parent } = sides;
  const set = key.childColumns.map((name, i) => {
    const type = columnOf(child, name).typeName;
    const cases = changes.map(({ was, becomes }) => {
      const value = literal(becomes[i]!, columnOf(parent, key.parentColumns[i]!));
      return `WHEN ${equals(sides, 'child', 'parent', was)} THEN ${value}::${type}`;
    });
    return `${quoteIdentifier(name)} = CASE ${cases.join(' ')} END`;
  });
  const olds = changes.map(({ was }) => was);
  return `UPDATE ${nameOf(child)} AS t SET ${set.join(', ')} WHERE ${anyOf(sides, 'child', 'parent', olds)}`;
}

/** A row of the referencing table, if there is one, whose key is not there. */
export function orphanSql(sides: KeySides): string {
  const { key, child, parent } = sides;
  const columns = key.childColumns.map((name) => `c.${quoteIdentifier(name)}`);
  const match = key.childColumns.map(
    (name, i) => `p.${quoteIdentifier(key.parentColumns[i]!)} = c.${quoteIdentifier(name)}`,
  );
  const present =
    key.match === 'full'
      ? `(${columns.map((column) => `${column} IS NOT NULL`).join(' OR ')})`
      : columns.map((column) => `${column} IS NOT NULL`).join(' AND ');
  const list = columns.map((column) => `${column}::text`).join(', ');
  return `SELECT ${list} FROM ${nameOf(child)} AS c WHERE ${present}
  AND NOT EXISTS (SELECT 1 FROM ${nameOf(parent)} AS p WHERE ${match.join(' AND ')}) LIMIT 1`;
}

function nameOf({ schema, name }: RelationEntry): string {
  return quoteQualified(schema, name);
}

/** Rows of the one side by values of the other. */
function anyOf(sides: KeySides, side: Side, from: Side, rows: readonly KeyValues[]): string {
  const [columns, sources] = [columnsOf(sides, side), columnsOf(sides, from)];
  if (columns.length === 1) {
    const list = rows.map(([value]) => literal(value!, sources[0]!)).join(', ');
    return `t.${quoteIdentifier(columns[0]!.name)} IN (${list})`;
  }
  return `(${rows.map((row) => `(${equals(sides, side, from, row)})`).join(' OR ')})`;
}

function equals(sides: KeySides, side: Side, from: Side, row: KeyValues): string {
  const sources = columnsOf(sides, from);
  return columnsOf(sides, side)
    .map(({ name }, i) => `t.${quoteIdentifier(name)} = ${literal(row[i]!, sources[i]!)}`)
    .join(' AND ');
}

function columnsOf({ key, child, parent }: KeySides, side: Side): ColumnEntry[] {
  return side === 'child'
    ? key.childColumns.map((name) => columnOf(child, name))
    : key.parentColumns.map((name) => columnOf(parent, name));
}

function columnOf(relation: RelationEntry, name: string): ColumnEntry {
  return relation.columns.find((column) => column.name === name)!;
}

function literal(value: string, { typeName }: ColumnEntry): string {
  return `${quoteLiteral(value)}::${typeName}`;
}
