import { expressionColumn } from '../catalog/load-sql.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import {
  type ColumnShape,
  type ConstraintShape,
  columnsOf,
  type IndexDetails,
  type IndexShape,
  type KeyExpression,
  type TableShape,
} from './table-shape.ts';

/** A unique key that no node can keep by itself, for equal values may be on different nodes. */
export interface GlobalKey {
  /** Of the constraint or index, on the shell. */
  readonly name: string;
  /** Of the constraint, or of the index. */
  readonly oid: number;
  /** Attribute numbers; 0: an expression. */
  readonly columns: readonly number[];
  readonly expressions: readonly (KeyExpression | null)[];
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
  const covers = (index: IndexDetails) => key?.every((attnum) => index.keyColumns.includes(attnum)) === true;
  const globalConstraints = shape.constraints.filter(({ type, index }) => index && type !== 'x' && !covers(index));
  const globalIndexes = shape.indexes.filter((index) => index.unique && !covers(index));
  return {
    constraints: shape.constraints.filter((constraint) => !globalConstraints.includes(constraint)),
    indexes: shape.indexes.filter((index) => !globalIndexes.includes(index)),
    global: [...globalConstraints.map(ofConstraint), ...globalIndexes.map(ofIndex)],
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
    expressions: [],
    predicate: null,
    nullsNotDistinct: index!.nullsNotDistinct,
    constraint: {
      kind: type === 'p' ? 'PRIMARY KEY' : 'UNIQUE',
      suffix: /( DEFERRABLE( INITIALLY DEFERRED)?)?$/.exec(definition)![0],
    },
  };
}

function ofIndex({ name, oid, keyColumns, expressions, predicate, nullsNotDistinct }: IndexShape): GlobalKey {
  return { name, oid, columns: keyColumns, expressions, predicate, nullsNotDistinct, constraint: null };
}

/** What is unique, as columns of the hidden table; values of an expression are in a column of their own. */
export function uniqueColumns(shape: TableShape, { columns, expressions }: GlobalKey): ColumnShape[] {
  return columns.flatMap((attnum, i) => {
    const expression = expressions[i];
    return expression ? [expressionShape(expression, i + 1)] : columnsOf(shape, [attnum]);
  });
}

function expressionShape({ type, collation }: KeyExpression, place: number): ColumnShape {
  return {
    ...{ attnum: 0, name: `${expressionColumn}${place}`, type, collation, notNull: false, default: null },
    ...{ usesSequence: false, identity: '', generated: '', storage: null, compression: null, statisticsTarget: null },
    ...{ options: [], comment: null, grants: null, missingValue: null },
  };
}
