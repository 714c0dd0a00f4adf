import { quoteIdentifier, quoteLiteral } from '../sql/quote.ts';
import { holders, type NodeTable, parentName } from './node-relations.ts';
import { columnSql, nodeDefault } from './relation-sql.ts';
import type { ColumnShape, TableShape } from './table-shape.ts';

/** What the shapes cannot tell of a statement's columns. */
export interface ColumnChanges {
  /** `ALTER COLUMN … TYPE … USING`: the expression, by attribute number. */
  readonly using: ReadonlyMap<number, string>;
}

/** Attribute numbers of the columns whose type or collation differs. */
export function retyped(before: TableShape, after: TableShape): Set<number> {
  const changed = after.columns.filter((column) => {
    const old = byNumber(before, column.attnum);
    return old !== undefined && (old.type !== column.type || old.collation !== column.collation);
  });
  return new Set(changed.map((column) => column.attnum));
}

function byNumber(shape: TableShape, attnum: number): ColumnShape | undefined {
  return shape.columns.find((column) => column.attnum === attnum);
}

/**
 * New columns whose values for the rows that are there must come from the coordinator: drawn from a sequence, or, on the
 * copies of a reference table, from a volatile default. See fill-columns.ts.
 */
export function columnsToFill(before: TableShape, after: TableShape, isReference: boolean): ColumnShape[] {
  return after.columns.filter((column) => {
    if (byNumber(before, column.attnum) !== undefined) return false;
    const isVolatile = column.default !== null && column.generated === '' && column.missingValue === null;
    return column.identity !== '' || column.usesSequence || (isReference && isVolatile);
  });
}

export function changeColumnsSql(before: TableShape, table: NodeTable, changes: ColumnChanges): string[] {
  const { shape, key } = table;
  const gone = before.columns.filter((column) => byNumber(shape, column.attnum) === undefined);
  // A generated column must go before those it is made of.
  const drops = [
    ...gone.filter((column) => column.generated !== ''),
    ...gone.filter((column) => column.generated === ''),
  ];
  const alter = `ALTER TABLE ${parentName(table)}`;
  const pairs = shape.columns.map((column) => [byNumber(before, column.attnum), column] as const);
  const renamed = pairs.some(([old, column]) => old && old.name !== column.name);
  return [
    ...drops.map((column) => `${alter} DROP COLUMN ${quoteIdentifier(column.name)}`),
    ...renameSql(alter, pairs),
    ...pairs.flatMap(([old, column]) =>
      old
        ? changeColumnSql({
            table,
            alter,
            old,
            column,
            isKey: key.includes(column.attnum),
            renamed,
            using: changes.using.get(column.attnum),
          })
        : addColumnSql(table, alter, column),
    ),
  ];
}

/** A name may be taken by a column that is itself renamed in the same statement: so by way of names nobody has. */
function renameSql(alter: string, pairs: readonly (readonly [ColumnShape | undefined, ColumnShape])[]): string[] {
  const renames = pairs.flatMap(([old, column]) =>
    old && old.name !== column.name ? [[old.name, column.name] as const] : [],
  );
  if (renames.length === 1) {
    const [[from, to]] = renames as [readonly [string, string]];
    return [`${alter} RENAME COLUMN ${quoteIdentifier(from)} TO ${quoteIdentifier(to)}`];
  }
  return [
    ...renames.map(([from], i) => `${alter} RENAME COLUMN ${quoteIdentifier(from)} TO "pgherd renamed ${i}"`),
    ...renames.map(([, to], i) => `${alter} RENAME COLUMN "pgherd renamed ${i}" TO ${quoteIdentifier(to)}`),
  ];
}

function addColumnSql(table: NodeTable, alter: string, column: ColumnShape): string[] {
  const name = quoteIdentifier(column.name);
  const fromSequence = column.identity !== '' || column.usesSequence;
  if (fromSequence) return [`${alter} ADD COLUMN ${columnSql({ ...column, notNull: false }, false)}`];
  const stored = storageSql(table, column);
  if (column.missingValue === null || column.generated !== '') {
    return [`${alter} ADD COLUMN ${columnSql(column, false)}`, ...stored, ...commentSql(table, column, null)];
  }
  // now() was evaluated once, on the coordinator: rows that are there have this value on every node.
  const now = `${quoteLiteral(column.missingValue)}::${column.type}`;
  return [
    `${alter} ADD COLUMN ${columnSql({ ...column, default: now }, false)}`,
    `${alter} ALTER COLUMN ${name} SET DEFAULT ${column.default}`,
    ...stored,
    ...commentSql(table, column, null),
  ];
}

interface ColumnChange {
  readonly table: NodeTable;
  readonly alter: string;
  readonly old: ColumnShape;
  readonly column: ColumnShape;
  readonly isKey: boolean;
  /** Expressions then differ by the new name alone, and follow by themselves. */
  readonly renamed: boolean;
  readonly using: string | undefined;
}

function changeColumnSql(change: ColumnChange): string[] {
  const { table, old, column, isKey, using } = change;
  const alter = `${change.alter} ALTER COLUMN ${quoteIdentifier(column.name)}`;
  const statements: string[] = [];
  if (old.type !== column.type || old.collation !== column.collation) {
    const collation = column.collation ? ` COLLATE ${column.collation}` : '';
    statements.push(`${alter} TYPE ${column.type}${collation}${using ? ` USING ${using}` : ''}`);
  }
  if (!change.renamed) statements.push(...defaultSql(alter, old, column, isKey));
  if (old.notNull !== column.notNull) statements.push(`${alter} ${column.notNull ? 'SET' : 'DROP'} NOT NULL`);
  statements.push(...storageChangeSql(table, old, column), ...commentSql(table, column, old.comment));
  return statements;
}

function defaultSql(alter: string, old: ColumnShape, column: ColumnShape, isKey: boolean): string[] {
  const [was, is] = [nodeDefault(old, isKey), nodeDefault(column, isKey)];
  if (was === is) return [];
  if (old.generated !== '' && column.generated !== '') return [`${alter} SET EXPRESSION AS (${column.default})`];
  const drop = old.generated !== '' ? `${alter} DROP EXPRESSION` : `${alter} DROP DEFAULT`;
  return is === null ? [drop] : [...(old.generated !== '' ? [drop] : []), `${alter} SET ${is}`];
}

function storageSql(table: NodeTable, column: ColumnShape): string[] {
  return storageChangeSql(
    table,
    { ...column, storage: null, compression: null, statisticsTarget: null, options: [] },
    column,
  );
}

function storageChangeSql(table: NodeTable, old: ColumnShape, column: ColumnShape): string[] {
  const name = quoteIdentifier(column.name);
  const everywhere = [parentName(table), ...holders(table).map((holder) => holder.relation)];
  const set = (relations: readonly string[], what: string) =>
    [...new Set(relations)].map((relation) => `ALTER TABLE ${relation} ALTER COLUMN ${name} ${what}`);
  const leaves = holders(table).map((holder) => holder.relation);
  const resets = old.options.map((option) => quoteIdentifier(option.split('=')[0]!));
  return [
    ...(old.storage === column.storage ? [] : set(everywhere, `SET STORAGE ${column.storage ?? 'DEFAULT'}`)),
    ...(old.compression === column.compression
      ? []
      : set(everywhere, `SET COMPRESSION ${column.compression ?? 'default'}`)),
    ...(old.statisticsTarget === column.statisticsTarget
      ? []
      : set(leaves, `SET STATISTICS ${column.statisticsTarget ?? -1}`)),
    ...(old.options.join() === column.options.join()
      ? []
      : [
          ...(resets.length > 0 ? set(leaves, `RESET (${resets.join(', ')})`) : []),
          ...(column.options.length > 0 ? set(leaves, `SET (${column.options.join(', ')})`) : []),
        ]),
  ];
}

function commentSql(table: NodeTable, column: ColumnShape, old: string | null): string[] {
  if (column.comment === old) return [];
  const comment = column.comment === null ? 'NULL' : quoteLiteral(column.comment);
  return [`COMMENT ON COLUMN ${parentName(table)}.${quoteIdentifier(column.name)} IS ${comment}`];
}
