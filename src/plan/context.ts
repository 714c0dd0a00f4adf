import type { Node } from '@pgsql/types';
import type { CatalogSnapshot, RelationEntry } from '../catalog/snapshot.ts';
import type { KeyValue } from './key-value.ts';
import type { SqlTemplate } from './plan.ts';
import type { PlanAnswers } from './questions.ts';
import type { Steps } from './steps.ts';

/** All that planning depends on besides the statement: a plan is a pure function of both. */
export interface PlanContext {
  readonly snapshot: CatalogSnapshot;
  /** The effective one: `current_schemas(true)`. */
  readonly searchPath: readonly string[];
  /** Names of the session's temporary relations: they shadow. */
  readonly temporaryNames: ReadonlySet<string>;
  /** The text is a view's definition, whose names were resolved when it was made: pg_catalog's are the coordinator's own. */
  readonly inView?: true;
  /** Found in a global unique index: the only distribution keys that rows which matter have in this table, by its OID. */
  readonly pinned?: { readonly table: number; readonly keys: readonly (readonly KeyValue[])[] };
  /** By parameter number less one; null: nothing is known of them. */
  readonly parameters: readonly PlannedParameter[] | null;
  /** In an explicit transaction block: its now() is the coordinator's, not the node's. */
  readonly inTransaction: boolean;
  /** Set by tests (`pgherd.force_rung`). */
  readonly force: ForcedRung | null;
  /** How the steps of one statement come to read one moment, on which depends whether rows may be staged on nodes between them. */
  readonly staging: Staging;
  /** Set in a READ COMMITTED transaction: snapshots are taken for the fragments of one statement, before any of them runs. */
  readonly opensFragments?: true;
  /** What servers have answered to the planner's questions. */
  readonly answers: PlanAnswers;
  /** Relations that earlier steps of the plan make, by the entry under which the statement knows them. */
  readonly staged: ReadonlyMap<RelationEntry, StagedRelation>;
  /** Values that earlier steps of the plan compute; parameters from `firstLateParameter` on. */
  readonly late: readonly LateParameter[];
  /** null: a plan of its own; otherwise its steps come behind these. */
  readonly steps: Steps | null;
  /** Filled while planning: where the values come from that keys are compared with. */
  readonly trace?: KeyTrace;
}

/** Of each value that a key was compared with (by identity): the constant or parameter that it was read from. */
export type KeyTrace = Map<KeyValue, Node>;

export type Staging =
  /** They can't: each server's part of a statement has a snapshot of its own. */
  | 'none'
  /** They have one snapshot: of a block that the router opens for the statement. */
  | 'tables'
  /** They have the transaction's; no temporary table may stand in the way of its PREPARE. */
  | 'inline'
  /** The transaction takes snapshots for each statement, and has changed nothing: a statement may be read in another one beside it. */
  | 'beside'
  /** It has changed something on the coordinator alone: what is read beside it must not be there. */
  | 'beside, on nodes'
  /** It has changed something on nodes, which only its own connections see: all fragments' snapshots are taken there before any of them runs. */
  | 'opened';

/**
 * `gather`: all rows to the coordinator. `broadcast`, `redistribute`: how rows move between nodes where both are possible. `find rows`: the
 * coordinator finds the rows that an UPDATE or DELETE changes, since those of other tables are too many to travel with the statement.
 */
export type ForcedRung = 'gather' | 'broadcast' | 'redistribute' | 'find rows';

/** Rows of an earlier step, standing as a relation in the statement. `rows`: estimated. */
export type StagedRelation =
  | { readonly kind: 'motion'; readonly motion: number; readonly rows: number }
  /** What the coordinator computes stays there as a subquery; its columns are in the relation's order. */
  | { readonly kind: 'query'; readonly sql: SqlTemplate; readonly rows: number };

/** A plan's constant that stands in the statement as a parameter. */
export interface LateParameter {
  readonly constant: number;
  readonly typeOid: number;
  readonly typeName: string;
}

/** Far beyond what clients use, and still a number that the parser takes (65535 is its last). */
export const firstLateParameter = 60_001;

export interface PlannedParameter {
  readonly typeOid: number;
  readonly typeName: string;
  /** null is NULL; undefined: not bound yet. */
  readonly value: { readonly format: 0 | 1; readonly bytes: Buffer } | null | undefined;
}

/** What is known of `$number`. */
export function parameterOf(number: number, context: PlanContext): PlannedParameter | undefined {
  const late = context.late[number - firstLateParameter];
  return late ? { ...late, value: undefined } : context.parameters?.[number - 1];
}
