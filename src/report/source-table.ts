import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';

/** The table of transactions, and how its columns are read. */
export interface SourceTable {
  /** As the user named it. */
  readonly name: string;
  /** Quoted and qualified, for SQL. */
  readonly sql: string;
  /** An expression that is exact: whole numbers and numerics as they are, floats by their shortest decimal form. */
  readonly amount: string;
  readonly amountIsFloat: boolean;
  /** The type of `transaction_date`. */
  readonly dateType: 'date' | 'timestamp' | 'timestamptz';
  readonly hasCurrency: boolean;
}

const needed = ['account_id', 'amount', 'transaction_date', 'risk_score'] as const;
const numberTypes: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'numeric']);
const floatTypes: ReadonlySet<string> = new Set(['float4', 'float8']);

/** Throws PgError that says which columns are missing, or of no use. */
export async function findSourceTable(runner: SqlRunner, name: string): Promise<SourceTable> {
  const { rows } = await runner.query(
    `SELECT n.nspname, c.relname, a.attname, t.typname
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       JOIN pg_type t ON t.oid = a.atttypid
      WHERE c.oid = to_regclass($1) ORDER BY a.attnum`,
    [name],
  );
  const [first] = rows;
  if (first === undefined) {
    throw pgError('undefinedTable', `there is no table ${name}`, {
      hint: 'Name it with --table, with its schema if that is not on the search path. `pgherd demo finance` makes one to try.',
    });
  }
  const types = new Map(rows.map(([, , column, type]) => [column!, type!]));
  checkColumns(name, types);
  const amountIsFloat = floatTypes.has(types.get('amount')!);
  return {
    name,
    sql: `${quoted(first[0]!)}.${quoted(first[1]!)}`,
    amount: amountIsFloat ? 'amount::numeric' : 'amount',
    amountIsFloat,
    dateType: types.get('transaction_date') as SourceTable['dateType'],
    hasCurrency: types.has('currency'),
  };
}

function checkColumns(table: string, types: ReadonlyMap<string, string>): void {
  const missing = needed.filter((column) => !types.has(column));
  if (missing.length > 0) {
    throw pgError('undefinedColumn', `table ${table} lacks ${missing.join(', ')}`, {
      hint: `The report reads ${needed.join(', ')}; the table has ${[...types.keys()].join(', ')}. A view with these names serves as well.`,
    });
  }
  const wrong = (column: string, expected: string) =>
    pgError('datatypeMismatch', `column ${column} of ${table} is ${types.get(column)}: ${expected} expected`);
  const isNumber = (column: string) => numberTypes.has(types.get(column)!) || floatTypes.has(types.get(column)!);
  if (!isNumber('amount')) throw wrong('amount', 'numeric');
  if (!isNumber('risk_score')) throw wrong('risk_score', 'a number');
  if (!['date', 'timestamp', 'timestamptz'].includes(types.get('transaction_date')!)) {
    throw wrong('transaction_date', 'a timestamp');
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
