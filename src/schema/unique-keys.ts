import { unsupported } from '../core/errors.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { type ConstraintShape, columnsOf, type IndexDetails, type IndexShape, type TableShape } from './table-shape.ts';

/** A unique key that no node can keep by itself, for equal values may be on different nodes. */
export interface GlobalKey {
  /** Of the constraint or index, on the shell. */
  readonly name: string;
  /** Of the constraint, or of the index. */
  readonly oid: number;
  readonly columns: readonly number[];
  readonly predicate: string | null;
  readonly nullsNotDistinct: boolean;
  /** ` DEFERRABLE INITIALLY DEFERRED` or the like; null: an index without a constraint. */
  readonly constraint: { readonly kind: 'PRIMARY KEY' | 'UNIQUE'; readonly suffix: string } | null;
}

export interface DividedKeys {
  readonly constraints: readonly ConstraintShape[];
  readonly indexes: readonly IndexShape[];
  readonly global: readonly GlobalKey[];
  /** Stand on the nodes for the unique indexes that are global: plain indexes of the same names, for lookups. */
  readonly lookups: readonly { readonly name: string; readonly definition: string }[];
}

/**
 * What nodes can keep themselves, and what needs a global unique index. `key`: attribute numbers of the distribution key; null: rows may
 * be anywhere.
 */
export function divideKeys(shape: TableShape, key: readonly number[] | null): DividedKeys {
  const covers = (index: IndexDetails) => key !== null && key.every((attnum) => index.keyColumns.includes(attnum));
  const globalConstraints = shape.constraints.filter(({ type, index }) => index && type !== 'x' && !covers(index));
  const globalIndexes = shape.indexes.filter((index) => index.unique && !covers(index));
  return {
    constraints: shape.constraints.filter((constraint) => !globalConstraints.includes(constraint)),
    indexes: shape.indexes.filter((index) => !globalIndexes.includes(index)),
    global: [...globalConstraints.map(ofConstraint), ...globalIndexes.map((index) => ofIndex(shape, index))],
    lookups: [
      ...globalConstraints.map((constraint) => ({
        name: constraint.name,
        definition: `USING btree (${columnList(shape, constraint.index!.keyColumns)})`,
      })),
      ...globalIndexes.map(({ name, definition, nullsNotDistinct }) => ({
        name,
        definition: nullsNotDistinct ? definition.replace(' NULLS NOT DISTINCT', '') : definition,
      })),
    ],
  };
}

function columnList(shape: TableShape, attnums: readonly number[]): string {
  return columnsOf(shape, attnums)
    .map((column) => quoteIdentifier(column.name))
    .join(', ');
}

function ofConstraint({ name, oid, type, definition, index }: ConstraintShape): GlobalKey {
  return {
    name,
    oid,
    columns: index!.keyColumns,
    predicate: null,
    nullsNotDistinct: index!.nullsNotDistinct,
    constraint: {
      kind: type === 'p' ? 'PRIMARY KEY' : 'UNIQUE',
      suffix: /( DEFERRABLE( INITIALLY DEFERRED)?)?$/.exec(definition)![0],
    },
  };
}

function ofIndex(shape: TableShape, { name, oid, keyColumns, predicate, nullsNotDistinct }: IndexShape): GlobalKey {
  if (keyColumns.includes(0)) {
    throw unsupported('PH032', `unique index "${name}" of table "${shape.name}" is over an expression`);
  }
  return { name, oid, columns: keyColumns, predicate, nullsNotDistinct, constraint: null };
}
