import type { UnsupportedCode } from '../core/unsupported.ts';
import type { Dialect, DistributionClause, NodeStatement, QualifiedName } from '../sql/dialect.ts';

/** What a utility statement needs. Closed: whoever runs one must know all kinds. */
export type DdlAction = DdlKind & {
  /** Of a local statement: it makes, changes or drops something that the catalog snapshot shows. */
  readonly changesCatalog: boolean;
  /** PostgreSQL refuses it in a transaction block. */
  readonly outsideTransaction: boolean;
};

export type DdlKind =
  /** The coordinator alone, as it stands. */
  | { readonly kind: 'local' }
  /** Changes tables whose counterparts on nodes must follow; `scope`: OIDs of distributed and reference tables. */
  | {
      readonly kind: 'tables';
      readonly scope: readonly number[];
      readonly shellAccess: boolean;
      readonly text: string | null;
      /** Shells whose foreign tables stand in the statement's way: they are made anew after it. */
      readonly withoutLoop: readonly number[];
      /** New foreign keys are made NOT VALID, and checked by the router. */
      readonly checksKeys: boolean;
    }
  /** A table of the coordinator's own, whose foreign keys the router keeps; `text` makes new ones NOT VALID if `checksKeys`. */
  | { readonly kind: 'local keys'; readonly text: string; readonly checksKeys: boolean }
  /** ALTER TABLE that gives a distribution column of the table, by its OID, another type. */
  | { readonly kind: 'retype key'; readonly table: number }
  /** Makes, changes or drops what tables on nodes may use: runs on the coordinator and, as written, on every node. */
  | {
      readonly kind: 'objects';
      readonly scope: readonly number[];
      readonly nodeText: string;
      readonly nodeFunction: string | null;
    }
  /** CREATE INDEX CONCURRENTLY; `plain`: without CONCURRENTLY. */
  | {
      readonly kind: 'create index online';
      readonly oid: number;
      readonly plain: string;
      readonly refusedInBlock: string;
    }
  | { readonly kind: 'drop index online'; readonly index: number; readonly refusedInBlock: string }
  | { readonly kind: 'role'; readonly name: string | null; readonly nodeText: string }
  | { readonly kind: 'schema privileges' }
  | { readonly kind: 'rename schema'; readonly from: string; readonly to: string }
  | { readonly kind: 'drop schemas'; readonly names: readonly string[]; readonly scope: readonly number[] }
  | {
      readonly kind: 'truncate';
      readonly relations: readonly number[];
      readonly cascade: boolean;
      readonly text: string;
    }
  /** `mode`: LOCKMODE of lockdefs.h. Outside of a block PostgreSQL refuses it. */
  | { readonly kind: 'lock'; readonly mode: number; readonly nowait: boolean; readonly needsBlock: true }
  /** `nodeText`: the statement over the distributed tables alone; null: the coordinator is all. */
  | { readonly kind: 'maintenance'; readonly nodeText: string | null }
  /** LIKE copies extended statistics, and so the guard: it is taken off the new table. */
  | { readonly kind: 'create like' }
  /** CREATE TABLE with Greenplum's or Postgres-XL's clause. */
  | {
      readonly kind: 'create distributed';
      readonly table: QualifiedName;
      readonly clause: DistributionClause;
      readonly ifNotExists: boolean;
      readonly like: boolean;
    }
  /** CREATE TABLE AS with such a clause, once the table is there with its rows. */
  | { readonly kind: 'distribute created'; readonly table: QualifiedName; readonly clause: DistributionClause }
  | { readonly kind: 'node'; readonly statement: NodeStatement }
  | { readonly kind: 'redistribute'; readonly wish: Extract<Dialect, { kind: 'alter distribution' }> }
  | { readonly kind: 'notice'; readonly message: string; readonly tag: string }
  | { readonly kind: 'refuse'; readonly code: UnsupportedCode; readonly what: string };
