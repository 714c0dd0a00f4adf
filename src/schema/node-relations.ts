import { type ColocationGroup, type GroupShard, type KeyColumn, leafSchema } from '../catalog/snapshot.ts';
import { quoteQualified } from '../sql/quote.ts';
import type { SchemaShape } from './schema-shape.ts';
import type { TableShape } from './table-shape.ts';

/**
 * A table on a node. A distributed table is a parent under the table's own name, with the leaves that live there; a
 * reference table, and one whose rows are spread at random, is a plain table. It is made in three parts, for rows are copied faster, and without firing triggers,
 * while nothing but columns and CHECKs is there: createNodeTableSql() in node-table.ts, nodeKeysSql() in node-index.ts,
 * nodeLinksSql() in node-table.ts.
 */
export interface NodeTable {
  readonly shape: TableShape;
  readonly schema: SchemaShape;
  /** `whole`: all rows are on one node; the others have the table, and nothing in it. */
  readonly form: 'leaves' | 'copy' | 'spread' | 'whole';
  /** null: a plain table. */
  readonly group: ColocationGroup | null;
  readonly keys: readonly KeyColumn[];
  /** Attribute numbers of `keys`. */
  readonly key: readonly number[];
  /** The shards that live on this node. */
  readonly shards: readonly GroupShard[];
}

/** A relation that holds rows: a leaf, or the reference table itself. */
export interface Holder {
  /** Qualified and quoted. */
  readonly relation: string;
  /** Its indexes and statistics are in this schema, under the names that they have on the shell. */
  readonly schema: string;
}

/** Attribute numbers of the key that says where a row is; null: nothing does. */
export function keyOf({ form, key }: NodeTable): readonly number[] | null {
  return form === 'spread' ? null : key;
}

export function parentName({ shape }: NodeTable): string {
  return quoteQualified(shape.schema, shape.name);
}

export function leafName({ shape }: NodeTable, shard: GroupShard): string {
  return quoteQualified(leafSchema(shard.index, shape.schema), shape.name);
}

export function holders(table: NodeTable): Holder[] {
  if (table.group === null) return [{ relation: parentName(table), schema: table.shape.schema }];
  return table.shards.map((shard) => ({
    relation: leafName(table, shard),
    schema: leafSchema(shard.index, table.shape.schema),
  }));
}

/** All relations of the table: the parent first. */
export function relationNames(table: NodeTable): string[] {
  return [...new Set([parentName(table), ...holders(table).map((holder) => holder.relation)])];
}
