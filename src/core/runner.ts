/** Something that runs SQL on one server in its current transaction and gives everything back as text. The control plane's verb. */
export interface SqlRunner {
  /** Without parameters the text may hold several statements; the last one's result is given. Rejects with PgError. */
  query(sql: string, parameters?: readonly (string | null)[]): Promise<QueryResult>;
  /** The same transaction with the rights of the owner of schema `pgherd`; without one the runner has them itself. */
  readonly owner?: SqlRunner;
}

export interface QueryResult {
  readonly columns: readonly string[];
  readonly typeOids: readonly number[];
  /** Text form of each value, as PostgreSQL's output functions write it. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** The command tag: `SELECT 3`. */
  readonly tag: string;
}
