import type { CatalogSnapshot } from '../catalog/snapshot.ts';

/** All that planning depends on besides the statement: a plan is a pure function of both. */
export interface PlanContext {
  readonly snapshot: CatalogSnapshot;
  /** The effective one: `current_schemas(true)`. */
  readonly searchPath: readonly string[];
  /** Names of the session's temporary relations: they shadow. */
  readonly temporaryNames: ReadonlySet<string>;
  /** The text is a view's definition, whose names were resolved when it was made: pg_catalog's are the coordinator's own. */
  readonly inView?: true;
  /** By parameter number less one; null: nothing is known of them. */
  readonly parameters: readonly PlannedParameter[] | null;
  /** In an explicit transaction block: its now() is the coordinator's, not the node's. */
  readonly inTransaction: boolean;
  /** Set by tests (`pgherd.force_rung`). */
  readonly force: 'gather' | null;
}

export interface PlannedParameter {
  readonly typeOid: number;
  readonly typeName: string;
  /** null is NULL; undefined: not bound yet. */
  readonly value: { readonly format: 0 | 1; readonly bytes: Buffer } | null | undefined;
}
