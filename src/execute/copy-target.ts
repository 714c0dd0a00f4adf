import type { Site } from '../catalog/site.ts';
import type { ColumnEntry, DistributedTable } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import type { ExecutionContext } from './context.ts';
import type { CopyOptions } from './copy-options.ts';

/** Where the rows of a COPY go, and in what form they come. */
export interface CopyTarget {
  readonly table: DistributedTable;
  /** Columns of the rows, in their order. */
  readonly columns: readonly string[];
  readonly options: CopyOptions;
  /** ` WITH (…)` and ` WHERE …` of the servers' COPY; empty without. */
  readonly optionsSql: string;
  readonly whereSql: string;
}

/** The servers' COPY; `added` are the columns that the router puts in front of each row. */
export function copyIntoSql(target: CopyTarget, added: readonly ColumnEntry[]): string {
  const { table, columns, optionsSql, whereSql } = target;
  const names = [...added.map((column) => column.name), ...columns];
  return `COPY ${quoteQualified(table.schema, table.name)}${columnList(names)} FROM STDIN${optionsSql}${whereSql}`;
}

/** A COPY without columns is legal, for a table that has none; an empty list is not. */
export function columnList(names: readonly string[]): string {
  return names.length === 0 ? '' : ` (${names.map(quoteIdentifier).join(', ')})`;
}

/**
 * Every server that holds rows of the table; of a reference table the coordinator first. Of a table without shards any node: all
 * have the table itself.
 */
export function sitesOf(table: DistributedTable, context: ExecutionContext): Site[] {
  const { distribution } = table;
  if (distribution.kind === 'reference') return ['coordinator', ...activeNodes(context)];
  const nodes = new Set(distribution.group.shards.map((shard) => shard.nodeId));
  return nodes.size > 0 ? [...nodes] : activeNodes(context).slice(0, 1);
}

export function activeNodes(context: ExecutionContext): number[] {
  return context.snapshot.nodes.filter((node) => node.active).map((node) => node.id);
}

/** The columns a COPY names, or all that it may: copy.c, CopyGetAttnums. */
export function copyColumns(table: DistributedTable, named: readonly string[]): string[] {
  if (named.length === 0) {
    return table.columns.filter((column) => column.default.kind !== 'generated').map((column) => column.name);
  }
  for (const [index, name] of named.entries()) {
    const column = table.columns.find((candidate) => candidate.name === name);
    if (column === undefined) {
      throw pgError('undefinedColumn', `column "${name}" of relation "${table.name}" does not exist`);
    }
    if (column.default.kind === 'generated') {
      throw pgError('invalidColumnReference', `column "${name}" is a generated column`, {
        detail: 'Generated columns cannot be used in COPY.',
      });
    }
    if (named.indexOf(name) < index) {
      throw pgError('duplicateColumn', `column "${name}" specified more than once`);
    }
  }
  return [...named];
}
