/** A data set to try things with. Rows are made by SQL, the same ones each time, so that batches can be told apart by their numbers. */
export interface Demo {
  readonly name: string;
  /** In the order in which they are made; their parents come first. */
  readonly tables: readonly DemoTable[];
  /** Of one table, for `--rows`: the others follow from it. */
  readonly rowsOf: string;
  /** Run when the rows are there: foreign keys are much faster checked at once than row by row. */
  readonly keys: readonly string[];
  readonly queries: readonly { readonly about: string; readonly sql: string }[];
}

export interface DemoTable {
  readonly name: string;
  readonly columns: string;
  /** Where there is a router; else the table is an ordinary one. */
  readonly distribution:
    | { readonly kind: 'by'; readonly column: string; readonly with: string }
    | { readonly kind: 'everywhere' };
  /** How many rows it has when the main table has `rows`. */
  rows(rows: number): number;
  /** Names of the columns that are filled, and a SELECT list over `g`, the row's number. */
  readonly filled: string;
  make(rows: number): string;
}

/** Evenly spread in [0, 1), by row and purpose: hashint8extended is in every PostgreSQL. */
export function chance(purpose: number, row = 'g'): string {
  // float8: numeric's power() is a hundred times slower.
  return `((hashint8extended(${row}, ${purpose}) & 1048575) / 1048576::float8)`;
}

/** One of the values, in turns that look random; a value that stands there twice comes twice as often. */
export function oneOf(purpose: number, values: readonly string[]): string {
  const list = values.map((value) => `'${value}'`).join(',');
  return `(ARRAY[${list}])[1 + floor(${chance(purpose)} * ${values.length})::int]`;
}
