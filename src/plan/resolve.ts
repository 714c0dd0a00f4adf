import type { ColumnRef, Node } from '@pgsql/types';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import { figureColumnName } from '../sql/column-name.ts';
import { nameParts } from '../sql/walk.ts';
import {
  type Block,
  type FromItem,
  type JoinItem,
  joinsOf,
  type LeafItem,
  leavesOf,
  type QueryItem,
  type RelationItem,
} from './model.ts';

/** A column of something in a FROM clause, by the name it has there. */
export interface Bound {
  readonly item: LeafItem;
  readonly column: string;
}

/** `none`: certainly not here, look further out. `unknown`: it may be here; nothing can be said of it. */
type Found = Bound | 'none' | 'unknown';

/** What a column reference means, or null when that isn't certain (system columns, whole rows, CTE columns, merged columns). */
export function bind(ref: ColumnRef, block: Block): Bound | null {
  const names = nameParts(ref.fields);
  if (names.includes(null)) return null;
  const [first = '', second, third] = names as string[];
  for (let scope: Block | null = block; scope; scope = scope.scopeParent) {
    const found = third !== undefined ? 'unknown' : findIn(scope, first, second);
    if (found === 'unknown') return third === undefined ? null : bindQualified(scope, names as string[]);
    if (found !== 'none') return found;
  }
  return null;
}

function findIn(scope: Block, first: string, second: string | undefined): Found {
  if (second === undefined) return oneOf(scope.from.map((item) => lookup(item, first)));
  const item = findAlias(scope.from, first);
  if (item === null) {
    const unclear = scope.kind === 'insert' || joinsOf(scope.from).some(({ usingName }) => usingName === first);
    return unclear ? 'unknown' : 'none';
  }
  return item.kind === 'join' ? 'unknown' : lookupLeaf(item, second);
}

/** `schema.table.column` means a table that has no alias. */
function bindQualified(block: Block, names: readonly string[]): Bound | null {
  const [schema, table, column] = names.slice(-3);
  for (let scope: Block | null = block; scope; scope = scope.scopeParent) {
    const item = scope.from
      .flatMap(leavesOf)
      .find(
        (leaf) =>
          leaf.kind === 'relation' && !leaf.node.alias && leaf.name === table && leaf.relation?.schema === schema,
      );
    if (item?.kind === 'relation') return item.columns?.includes(column!) ? { item, column: column! } : null;
  }
  return null;
}

/** The item of that name which the block's expressions see. */
export function findAlias(items: readonly FromItem[], name: string): FromItem | null {
  for (const item of items) {
    if (item.name === name) return item;
    if (item.kind === 'join' && item.name === null) {
      const inside = findAlias([item.left, item.right], name);
      if (inside) return inside;
    }
  }
  return null;
}

/**
 * An unqualified name that two items have is refused by PostgreSQL as ambiguous. So one that certainly has it is the one
 * meant, whatever the others may have.
 */
function oneOf(found: readonly Found[]): Found {
  const bound = found.filter((each) => typeof each === 'object');
  if (bound.length === 1) return bound[0]!;
  return bound.length > 1 || found.includes('unknown') ? 'unknown' : 'none';
}

function lookup(item: FromItem, name: string): Found {
  if (item.kind !== 'join') return lookupLeaf(item, name);
  if (item.renamesColumns) return 'unknown';
  const left = lookup(item.left, name);
  const right = lookup(item.right, name);
  const merged = mergedColumns(item);
  if (merged === null) return left === 'none' && right === 'none' ? 'none' : 'unknown';
  if (!merged.includes(name)) return oneOf([left, right]);
  if (item.type === 'full') return 'unknown';
  return item.type === 'right' ? right : left;
}

/** The columns that USING or NATURAL makes one of; null when they can't be known. */
export function mergedColumns(item: JoinItem): readonly string[] | null {
  if (!item.natural) return item.using;
  const left = columnsOf(item.left);
  const right = columnsOf(item.right);
  return left && right ? left.filter((name) => right.includes(name)) : null;
}

function lookupLeaf(item: LeafItem, name: string): Found {
  const columns = columnsOf(item);
  if (columns === null) return 'unknown';
  return columns.includes(name) ? { item, column: name } : 'none';
}

/** Names of the columns that a FROM item yields, in order (`*`); null when they can't be known. */
export function columnsOf(item: FromItem): readonly string[] | null {
  switch (item.kind) {
    case 'relation':
      return item.columns;
    case 'query':
      return outputColumns(item)?.map((output) => output.name) ?? null;
    case 'join': {
      const merged = mergedColumns(item);
      const left = columnsOf(item.left);
      const right = columnsOf(item.right);
      if (item.renamesColumns || !merged || !left || !right) return null;
      const rest = (side: readonly string[]) => side.filter((name) => !merged.includes(name));
      return [...merged, ...rest(left), ...rest(right)];
    }
    default:
      return null;
  }
}

export interface Output {
  readonly name: string;
  /** Where the value comes from, when the output is a plain column. */
  readonly bound: Bound | null;
}

/** The columns of a subquery in FROM, after its alias's column list. */
export function outputColumns(item: QueryItem): readonly Output[] | null {
  const outputs = blockOutputs(item.block);
  return outputs?.map((output, i) => ({ ...output, name: item.aliasColumns[i] ?? output.name })) ?? null;
}

export function blockOutputs(block: Block): readonly Output[] | null {
  if (block.kind === 'set operation') {
    const arm = block.children.find((child) => child.via === 'arm');
    return arm ? (blockOutputs(arm.block)?.map(({ name }) => ({ name, bound: null })) ?? null) : null;
  }
  if (block.kind === 'values') {
    const [row] = block.node.valuesLists ?? [];
    const width = row && 'List' in row ? (row.List.items?.length ?? 0) : 0;
    return Array.from({ length: width }, (_, i) => ({ name: `column${i + 1}`, bound: null }));
  }
  if (block.kind !== 'select') return null;
  const outputs: Output[] = [];
  for (const target of block.node.targetList ?? []) {
    const own = targetOutputs(target, block);
    if (own === null) return null;
    outputs.push(...own);
  }
  return outputs;
}

function targetOutputs(target: Node, block: Block): readonly Output[] | null {
  if (!('ResTarget' in target) || !target.ResTarget.val) return null;
  const { val, name } = target.ResTarget;
  if (!('ColumnRef' in val))
    return 'A_Indirection' in val ? null : [{ name: name ?? figureColumnName(val), bound: null }];
  const fields = nameParts(val.ColumnRef.fields);
  if (fields.at(-1) !== null) return [{ name: name ?? fields.at(-1)!, bound: bind(val.ColumnRef, block) }];
  return expandStar(fields, block);
}

/** The columns of `*` or `t.*` in a block; null when they can't be known. */
export function expandStar(fields: readonly (string | null)[], block: Block): readonly Output[] | null {
  const qualifier = fields.at(-2);
  if (fields.length > 2) return null;
  const found = typeof qualifier === 'string' ? findAlias(block.from, qualifier) : null;
  if (typeof qualifier === 'string' && found === null) return null;
  const outputs: Output[] = [];
  for (const item of found ? [found] : block.from) {
    const columns = columnsOf(item);
    if (columns === null) return null;
    for (const name of columns) {
      const bound = lookup(item, name);
      outputs.push({ name, bound: typeof bound === 'object' ? bound : null });
    }
  }
  return outputs;
}

/** The relation whose whole row a reference means: a name that is no column anywhere around. */
export function wholeRow(ref: ColumnRef, block: Block): RelationItem | null {
  const [name, ...more] = nameParts(ref.fields);
  if (typeof name !== 'string' || more.length > 0) return null;
  for (let scope: Block | null = block; scope; scope = scope.scopeParent) {
    if (findIn(scope, name, undefined) !== 'none') return null;
  }
  for (let scope: Block | null = block; scope; scope = scope.scopeParent) {
    const item = findAlias(scope.from, name);
    if (item) return item.kind === 'relation' ? item : null;
  }
  return null;
}

/** The catalog's entry of a bound column; null unless it is a relation's own. */
export function columnEntry(bound: Bound): ColumnEntry | null {
  if (bound.item.kind !== 'relation') return null;
  const index = bound.item.columns?.indexOf(bound.column) ?? -1;
  return bound.item.relation?.columns[index] ?? null;
}
