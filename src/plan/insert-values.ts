import type { Node } from '@pgsql/types';
import { type ColumnEntry, isKeyed, isOnOneNode, type KeyColumn } from '../catalog/snapshot.ts';
import type { PlanContext } from './context.ts';
import { type InsertShape, insertShape, isDefault, isTaken } from './insert-shape.ts';
import { comparedValue, type KeyValue } from './key-value.ts';
import type { RelationItem } from './model.ts';
import { lookUp, type ShardSet } from './shards.ts';

const maxPinnedRows = 100;

/** The shards of the rows of an INSERT … VALUES whose keys are constants or parameters; any, for all other INSERTs. */
export function insertShards(item: RelationItem, context: PlanContext): ShardSet {
  const distribution = item.table?.distribution;
  if (distribution && isOnOneNode(distribution)) {
    const indexes = insertObstacle(insertShape(item)) ? null : new Set([0]);
    return { indexes, dependsOnParameters: false };
  }
  if (distribution?.kind !== 'distributed' || !isKeyed(distribution)) {
    return { indexes: null, dependsOnParameters: false };
  }
  const shape = insertShape(item);
  const { source } = shape;
  if (source.kind !== 'values' || source.rows.length > maxPinnedRows || insertObstacle(shape)) {
    return { indexes: null, dependsOnParameters: false };
  }
  const dependsOnParameters = item.block.children.some((child) => child.block.parameters.length > 0);
  const keys = insertedKeys(source.rows, shape, context);
  if (keys === null) return { indexes: null, dependsOnParameters };
  const indexes = lookUp(distribution, keys);
  // A row that no shard takes is refused in one place: where rows are routed.
  return { indexes: indexes?.size === 0 ? null : indexes, dependsOnParameters };
}

/** The distribution keys of rows, one list for each; null: not all are known. */
export function insertedKeys(
  rows: readonly (readonly Node[])[],
  shape: InsertShape,
  context: PlanContext,
): readonly (readonly KeyValue[])[] | null {
  const { distribution } = shape.table;
  if (distribution.kind !== 'distributed') return null;
  const found: KeyValue[][] = [];
  for (const row of rows) {
    const values = distribution.keys.map((key) => insertedKey(key, row, shape, context));
    if (values.includes(undefined)) return null;
    found.push(values as KeyValue[]);
  }
  return found;
}

/** Why a node can't complete the rows by itself. Nodes have a column's constant default, but no sequence and another clock. */
export function insertObstacle(shape: InsertShape): string | null {
  const { distribution } = shape.table;
  const keys = distribution.kind === 'distributed' ? distribution.keys.map(({ name }) => name) : [];
  for (const column of shape.table.columns) {
    if (!needsDefault(column, shape)) continue;
    const { kind } = column.default;
    const onNode = kind === 'none' || kind === 'constant' || (kind === 'generated' && !keys.includes(column.name));
    if (!onNode) return `the default of ${column.name}`;
  }
  return null;
}

/** Whether some row leaves the column to its default. */
export function needsDefault(column: ColumnEntry, shape: InsertShape): boolean {
  const index = shape.columns.indexOf(column);
  if (index < 0 || !isTaken(column, shape)) return true;
  return shape.source.kind === 'values' && shape.source.rows.some((row) => isDefault(row[index]));
}

/** undefined: not known, or not of the key's type as it would be stored. */
function insertedKey(
  key: KeyColumn,
  row: readonly Node[],
  shape: InsertShape,
  context: PlanContext,
): KeyValue | undefined {
  const index = shape.columns.findIndex((column) => column.name === key.name);
  const column = shape.table.columns.find((each) => each.name === key.name);
  const expression = row[index];
  if (!column || column.typeOid !== key.typeOid) return undefined;
  if (expression === undefined || isDefault(expression)) return column.default.kind === 'none' ? null : undefined;
  if ('A_Const' in expression && expression.A_Const.isnull) return null;
  if ('ParamRef' in expression && context.parameters?.[(expression.ParamRef.number ?? 0) - 1]?.value === null)
    return null;
  const compared = comparedValue(expression, key.typeOid, context);
  if (!compared?.value || !fitsModifier(compared.value, column)) return undefined;
  // Whether another value fits is another question.
  if (column.typmod < 0) context.trace?.set(compared.value, expression);
  return compared.value;
}

const varchar = 1043;
const bpchar = 1042;
const numeric = 1700;

/** Storing the value in the column doesn't change it: by truncation or rounding it would get another hash. */
function fitsModifier(value: NonNullable<KeyValue>, { typeOid, typmod }: ColumnEntry): boolean {
  if (typmod < 0) return true;
  const text = value.bytes.toString();
  if (typeOid === varchar || typeOid === bpchar) return [...text].length <= typmod - 4;
  if (typeOid !== numeric || value.format !== 0) return false;
  const scale = (typmod - 4) & 0x7ff;
  return /^[+-]?\d+(?:\.\d*)?$/.test(text) && (text.split('.')[1] ?? '').length <= scale;
}
