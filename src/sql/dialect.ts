/*
 * What Greenplum and Postgres-XL add to SQL, as values. The scanner (dialect-scan.ts) takes it off a text, for PostgreSQL's own
 * grammar has none of it.
 */

export interface QualifiedName {
  readonly schema: string | null;
  readonly name: string;
}

/** How a table's rows are divided. Names are as PostgreSQL reads them: folded, or out of their quotes. */
export type DistributionMode =
  /** `modulo`: Postgres-XL's MODULO, which is stored as HASH. `operatorClasses`: Greenplum's, which only choose a hash function. */
  | {
      readonly kind: 'hash';
      readonly columns: readonly string[];
      readonly modulo: boolean;
      readonly operatorClasses: boolean;
    }
  | { readonly kind: 'random' }
  | { readonly kind: 'replicated' };

/** Postgres-XL's `TO NODE (…)` and `TO GROUP …`. */
export type NodeChoice =
  | { readonly kind: 'all' }
  | { readonly kind: 'nodes'; readonly names: readonly string[] }
  | { readonly kind: 'group'; readonly name: string };

export interface DistributionClause {
  readonly mode: DistributionMode;
  readonly nodes: NodeChoice;
}

export type NodeOption = 'TYPE' | 'HOST' | 'PORT' | 'PRIMARY' | 'PREFERRED';

/** A statement, or a part of one, that only these dialects have. */
export type Dialect =
  /** Beside CREATE TABLE and CREATE TABLE AS, whose own tree knows nothing of it. */
  | { readonly kind: 'distribution'; readonly clause: DistributionClause }
  | {
      readonly kind: 'alter distribution';
      readonly table: QualifiedName;
      readonly ifExists: boolean;
      /** null: `SET WITH (REORGANIZE = …)` alone. */
      readonly clause: DistributionClause | null;
      readonly reorganize: boolean;
    }
  | { readonly kind: 'execute direct'; readonly nodes: readonly string[]; readonly sql: string }
  | {
      readonly kind: 'create node' | 'alter node';
      readonly name: string;
      readonly options: ReadonlyMap<NodeOption, string>;
    }
  | { readonly kind: 'drop node'; readonly name: string };

/** CREATE, ALTER and DROP NODE. */
export type NodeStatement = Extract<Dialect, { kind: 'create node' | 'alter node' } | { kind: 'drop node' }>;

/** The kind of the tree of a statement that is a dialect's as a whole; there is nothing in the tree. */
export const dialectStatementKind = 'DialectStmt';
