import type { InsertStmt, Node } from '@pgsql/types';
import type { ColumnEntry, DistributedTable } from '../catalog/snapshot.ts';
import { PgError, pgError, unsupported } from '../core/errors.ts';
import type { Block, RelationItem } from './model.ts';
import { blockOutputs } from './resolve.ts';

/** An INSERT as far as its rows are concerned. */
export interface InsertShape {
  readonly table: DistributedTable;
  /** The columns that are given values, in the order of the values. */
  readonly columns: readonly ColumnEntry[];
  readonly source: /** Expressions by row; DEFAULT is SetToDefault. */
    | { readonly kind: 'values'; readonly rows: readonly (readonly Node[])[] }
    | { readonly kind: 'query'; readonly block: Block }
    | { readonly kind: 'default values' };
  /** OVERRIDING USER VALUE: what is given for identity columns doesn't count. */
  readonly ignoresIdentity: boolean;
}

/** Raises what PostgreSQL raises about columns that may not be given a value. */
export function insertShape(item: RelationItem): InsertShape {
  const { block, table } = item;
  if (block.kind !== 'insert' || !table) throw unsupported('PH002', 'an INSERT without a table');
  const { node } = block;
  const source = sourceOf(block);
  const columns = namedColumns(node, table) ?? firstColumns(source, table);
  checkWidths(source, columns);
  const shape: InsertShape = { table, columns, source, ignoresIdentity: node.override === 'OVERRIDING_USER_VALUE' };
  for (const [i, column] of columns.entries()) checkGiven(column, i, shape, node);
  return shape;
}

function sourceOf(block: Block & { readonly kind: 'insert' }): InsertShape['source'] {
  const child = block.children.find((each) => each.via === 'insert source')?.block;
  if (!child) return { kind: 'default values' };
  const select = child.kind === 'values' ? child.node : undefined;
  const decorated = select?.withClause ?? select?.sortClause ?? select?.limitCount ?? select?.limitOffset;
  if (!select || decorated) return { kind: 'query', block: child };
  return {
    kind: 'values',
    rows: (select.valuesLists ?? []).map((row) => ('List' in row ? (row.List.items ?? []) : [])),
  };
}

function namedColumns(node: InsertStmt, table: DistributedTable): ColumnEntry[] | null {
  return (
    node.cols?.map((target) => {
      const { name = '', indirection } = 'ResTarget' in target ? target.ResTarget : {};
      if (indirection) throw unsupported('PH002', 'INSERT into a part of a column');
      const column = table.columns.find((each) => each.name === name);
      if (!column) throw pgError('undefinedColumn', `column "${name}" of relation "${table.name}" does not exist`);
      return column;
    }) ?? null
  );
}

function checkWidths(source: InsertShape['source'], columns: readonly ColumnEntry[]): void {
  const [twice] = columns.filter((column, i) => columns.indexOf(column) < i);
  if (twice) throw pgError('duplicateColumn', `column "${twice.name}" specified more than once`);
  if (source.kind !== 'values') return;
  const [first] = source.rows;
  if (source.rows.some((row) => row.length !== first?.length)) {
    throw pgError('syntaxError', 'VALUES lists must all be the same length');
  }
  if (first && first.length > columns.length) throw tooWide();
  if (first && first.length < columns.length) {
    throw pgError('syntaxError', 'INSERT has more target columns than expressions');
  }
}

function tooWide(): PgError {
  return pgError('syntaxError', 'INSERT has more expressions than target columns');
}

function firstColumns(source: InsertShape['source'], table: DistributedTable): readonly ColumnEntry[] {
  if (source.kind === 'default values') return [];
  const width =
    source.kind === 'values'
      ? (source.rows[0]?.length ?? 0)
      : (blockOutputs(source.block)?.length ?? table.columns.length);
  if (width > table.columns.length) throw tooWide();
  return table.columns.slice(0, width);
}

function checkGiven(column: ColumnEntry, index: number, shape: InsertShape, node: InsertStmt): void {
  const { source } = shape;
  const given =
    source.kind === 'query' || (source.kind === 'values' && source.rows.some((row) => !isDefault(row[index])));
  if (!given) return;
  if (column.default.kind === 'generated') {
    throw generatedAlways(column, `Column "${column.name}" is a generated column.`, undefined);
  }
  const always = column.default.kind === 'sequence' && column.default.identity === 'always';
  if (always && (node.override === undefined || node.override === 'OVERRIDING_NOT_SET')) {
    const detail = `Column "${column.name}" is an identity column defined as GENERATED ALWAYS.`;
    throw generatedAlways(column, detail, 'Use OVERRIDING SYSTEM VALUE to override.');
  }
}

export function isDefault(expression: Node | undefined): boolean {
  return expression !== undefined && 'SetToDefault' in expression;
}

/** SQLSTATE 428C9, in PostgreSQL's words. */
function generatedAlways(column: ColumnEntry, detail: string, hint: string | undefined): PgError {
  const message = `cannot insert a non-DEFAULT value into column "${column.name}"`;
  return new PgError({ severity: 'ERROR', code: '428C9', message, detail, ...(hint ? { hint } : {}) });
}

/** Whether the value of a given column is taken: an identity column's is not under OVERRIDING USER VALUE. */
export function isTaken(column: ColumnEntry, shape: InsertShape): boolean {
  return !(shape.ignoresIdentity && column.default.kind === 'sequence' && column.default.identity !== null);
}
