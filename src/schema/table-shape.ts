import type { TriggerEvent } from '../catalog/statement-trigger.ts';

/**
 * All that the coordinator knows of a table and that a node must know too. Read by describeTables(); rebuilt on nodes by
 * node-table.ts; two shapes of one table, before and after a DDL statement, are compared by table-changes.ts.
 * Expressions and names inside them are as PostgreSQL writes them under an empty search_path.
 */
export interface TableShape {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Quoted by PostgreSQL, as it stands in definitions: `public.orders`. */
  readonly quotedName: string;
  readonly owner: string;
  /** `pg_class.relkind`: r, p, v … */
  readonly kind: string;
  readonly persistence: 'p' | 'u' | 't';
  readonly accessMethod: string | null;
  /** Storage parameters, `name=value`; those of the TOAST table with the prefix `toast.` */
  readonly options: readonly string[];
  readonly replicaIdentity: 'd' | 'n' | 'f' | 'i';
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  readonly comment: string | null;
  /** null: nothing was ever granted or revoked. */
  readonly grants: readonly Grant[] | null;
  readonly isPartition: boolean;
  /** It inherits, or is inherited from. */
  readonly hasRelatives: boolean;
  readonly hasRules: boolean;
  readonly columns: readonly ColumnShape[];
  readonly constraints: readonly ConstraintShape[];
  /** Those that belong to no constraint. */
  readonly indexes: readonly IndexShape[];
  readonly policies: readonly PolicyShape[];
  readonly triggers: readonly TriggerShape[];
  readonly statistics: readonly StatisticsShape[];
}

export interface Grant {
  /** null: PUBLIC. */
  readonly grantee: string | null;
  readonly privilege: string;
  readonly grantable: boolean;
}

export interface ColumnShape {
  readonly attnum: number;
  readonly name: string;
  readonly type: string;
  /** Where it is not the type's own. */
  readonly collation: string | null;
  readonly notNull: boolean;
  readonly default: string | null;
  /** The default draws from a sequence, which only the coordinator has. */
  readonly usesSequence: boolean;
  readonly identity: '' | 'a' | 'd';
  readonly generated: '' | 's' | 'v';
  /** Where it is not the type's own: PLAIN, EXTERNAL … */
  readonly storage: string | null;
  readonly compression: string | null;
  readonly statisticsTarget: number | null;
  readonly options: readonly string[];
  readonly comment: string | null;
  readonly grants: readonly Grant[] | null;
  /** What rows that are older than the column have in it, as text; null: nothing is recorded. */
  readonly missingValue: string | null;
}

export interface ConstraintShape {
  readonly oid: number;
  readonly name: string;
  /** check, foreign key, primary key, unique, exclusion */
  readonly type: 'c' | 'f' | 'p' | 'u' | 'x';
  /** `pg_get_constraintdef` */
  readonly definition: string;
  readonly validated: boolean;
  readonly noInherit: boolean;
  /** Attribute numbers; of an index constraint its key columns, 0 for an expression. */
  readonly columns: readonly number[];
  readonly comment: string | null;
  readonly index: IndexDetails | null;
  readonly reference: ForeignReference | null;
}

export interface ForeignReference {
  readonly oid: number;
  /** Columns of the referenced table, beside `columns` of the constraint. */
  readonly columns: readonly number[];
  /** `confupdtype`, `confdeltype`: a no action, r restrict, c cascade, n set null, d set default */
  readonly onUpdate: string;
  readonly onDelete: string;
  /** Columns that ON DELETE SET … sets; empty: all. */
  readonly setColumns: readonly number[];
}

export interface IndexDetails {
  readonly unique: boolean;
  readonly keyColumns: readonly number[];
  /** For each of the key columns; null: it is a plain column. */
  readonly expressions: readonly (KeyExpression | null)[];
  readonly predicate: string | null;
  readonly nullsNotDistinct: boolean;
  readonly options: readonly string[];
  readonly clustered: boolean;
  readonly replicaIdentity: boolean;
  /** Of a constraint of type x: the operators are `=` on these columns. */
  readonly equalColumns: readonly number[];
}

export interface KeyExpression {
  readonly sql: string;
  readonly type: string;
  /** Where it is not the type's own. */
  readonly collation: string | null;
}

export interface IndexShape extends IndexDetails {
  readonly oid: number;
  readonly name: string;
  /** From `USING` on. */
  readonly definition: string;
  readonly comment: string | null;
  /** Statistics targets of expressions, `column number=target`. */
  readonly valid: boolean;
}

export interface PolicyShape {
  readonly name: string;
  /** From `AS PERMISSIVE` on. */
  readonly definition: string;
  readonly using: string | null;
  readonly check: string | null;
}

export interface TriggerShape {
  readonly name: string;
  /** `pg_get_triggerdef` */
  readonly definition: string;
  /** O origin, D disabled, R replica, A always */
  readonly enabled: 'O' | 'D' | 'R' | 'A';
  readonly row: boolean;
  readonly before: boolean;
  readonly transitionTables: boolean;
  readonly constraint: boolean;
  readonly events: readonly TriggerEvent[];
}

export interface StatisticsShape {
  readonly schema: string;
  readonly name: string;
  /** Between the name and `FROM`: kinds and columns. */
  readonly definition: string;
  readonly target: number | null;
}

export function columnsOf(shape: TableShape, attnums: readonly number[]): ColumnShape[] {
  return attnums.flatMap((attnum) => shape.columns.find((column) => column.attnum === attnum) ?? []);
}
