import type { MotionColumn } from '../plan/plan.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { columnArrays } from './array-value.ts';
import type { BoundValue } from './statement-bytes.ts';

const textOid = 25;
const int8Oid = 20;

/** Rows as a FROM item: SQL whose placeholders start at `firstPlaceholder`, and their values. */
export interface RowsItem {
  readonly sql: string;
  readonly values: readonly BoundValue[];
}

/**
 * A few rows carried inside the statement: `unnest($1::integer[], …) AS name(c, …)`. Columns that travel as text arrive as text.
 * The declared element types are the columns' own, so the binary elements are read by the very type that wrote them.
 */
export function rowsAsUnnest(
  rows: readonly Buffer[],
  columns: readonly MotionColumn[],
  name: string,
  firstPlaceholder: number,
): RowsItem {
  if (columns.length === 0) {
    const count = Buffer.alloc(8);
    count.writeBigInt64BE(BigInt(rows.length));
    return {
      sql: `generate_series(1::bigint, $${firstPlaceholder}::bigint) AS ${name}`,
      values: [{ format: 1, bytes: count, typeOid: int8Oid }],
    };
  }
  const arrays = columnArrays(
    rows,
    columns.map((column) => (column.viaText ? textOid : column.typeOid)),
  );
  const placeholders = columns.map((column, index) => {
    const type = column.viaText ? 'text' : column.typeName;
    return `$${firstPlaceholder + index}::${type}[]`;
  });
  const names = columns.map((column) => quoteIdentifier(column.name));
  return {
    sql: `unnest(${placeholders.join(', ')}) AS ${name}(${names.join(', ')})`,
    values: arrays.map((bytes) => ({ format: 1, bytes, typeOid: 0 })),
  };
}
