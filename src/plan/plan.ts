import type { Site } from '../catalog/site.ts';
import type { ColocationGroup, DistributedTable, KeyColumn, NodeId, RelationEntry } from '../catalog/snapshot.ts';
import type { TriggerFiring } from '../catalog/statement-trigger.ts';
import type { IndexRoute } from './index-route.ts';
import type { RelationKeys } from './key-sources.ts';

/**
 * A plan is a short list of SQL steps: motions bring rows to the coordinator (each a fragment of SQL, the servers it runs on,
 * and the columns that travel), then one final step gives the client its answer. The planner decides all of it before the
 * first byte is sent; EXPLAIN prints it as it stands.
 */

export type { NodeId, Site };

/**
 * SQL with holes. A part is text, one of the client's parameters (0-based; written by the executor as a placeholder of its
 * own numbering, with the cast that stands around it in the text), or the rows of an earlier motion (written as an
 * unnest() of array parameters when small, as a temporary table's name when large).
 */
export type SqlPart =
  | string
  | { readonly parameter: number }
  | { readonly motion: number }
  /** A value that is evaluated once per statement on the coordinator (now(), current_user, random(), nextval()): see `Plan.constants`. */
  | { readonly constant: number }
  /** The id of the node that the SQL runs on. */
  | { readonly site: true }
  /** So many rows are wanted, less those that other nodes have given. */
  | { readonly rowsLeft: number };
export type SqlTemplate = readonly SqlPart[];

/** A column that travels. The fragment yields it in this order; `viaText` columns are yielded as text and cast back on arrival. */
export interface MotionColumn {
  readonly name: string;
  readonly typeOid: number;
  /** Written in the cast on arrival: `numeric(12,2)`. */
  readonly typeName: string;
  /** COLLATE on arrival, quoted and qualified; null: the type's default. */
  readonly collation: string | null;
  /** Arrays, composites, reg*, and any type whose OID may differ between servers travel as text. */
  readonly viaText: boolean;
}

export type Motion = GatherMotion | StageMotion | VirtualMotion;

export interface GatherMotion {
  readonly kind: 'gather';
  readonly sites: readonly Site[];
  /** Runs on each site; may use parameters, constants and motions before it. */
  readonly sql: SqlTemplate;
  readonly columns: readonly MotionColumn[];
  /** Column names that are unique over the gathered rows and that the final step relies on (functional dependency). */
  readonly primaryKey: readonly string[];
  /**
   * Columns that a correlated subquery compares with rows around it: it looks the rows up once for each of those, so a temporary
   * table that holds many of them should have an index on these columns.
   */
  readonly lookupColumns: readonly string[];
  /** Takes row locks (FOR UPDATE): counts as a write for the transaction. */
  readonly locksRows: boolean;
  /** The rows go on to nodes, inside their statements: they stay in memory, up to a bound. */
  readonly toNodes?: true;
  /** Said by EXPLAIN: `Gather orders: filter pushed down`. */
  readonly label: string;
}

/** Rows that go to nodes, where later steps read them as a relation. */
export interface StageMotion {
  readonly kind: 'stage';
  readonly sites: readonly Site[];
  /** Runs on each site; may use parameters, constants and motions before it. */
  readonly sql: SqlTemplate;
  readonly columns: readonly MotionColumn[];
  readonly to: StageTarget;
  /** Over all nodes, by PostgreSQL's estimate. */
  readonly expectedRows: number;
  /** Columns that a correlated subquery looks rows up by: a table of them gets an index on each. */
  readonly lookupColumns: readonly string[];
  readonly label: string;
}

export type StageTarget =
  /** All rows on each of these nodes. */
  | { readonly kind: 'broadcast'; readonly nodes: readonly NodeId[] }
  /** Each row on the node of the shard that its keys route to; `keys` are places among the motion's columns. */
  | {
      readonly kind: 'redistribute';
      readonly group: ColocationGroup;
      readonly keyColumns: readonly KeyColumn[];
      readonly keys: readonly number[];
    };

/** Rows that only the router can tell. */
export interface VirtualMotion {
  readonly kind: 'virtual';
  /** Its name in schema pgherd: `live_shard_size`. */
  readonly relation: string;
  /** In the order of the relation's own columns; `name` is the relation's column here too. */
  readonly columns: readonly MotionColumn[];
  readonly label: string;
}

/**
 * Evaluated once, on the coordinator; its value is written into later steps as a literal of that type. A constant whose SQL
 * holds motions is evaluated after them; these motions use no such constant themselves. All others come before any motion.
 */
export interface PlanConstant {
  /** As the client wrote it, e.g. `now()`; may use parameters and motions. */
  readonly sql: SqlTemplate;
  readonly typeName: string;
}

export type FinalStep =
  /** The rows of one server pass through untouched, both ways. */
  | { readonly kind: 'pass'; readonly site: Site; readonly sql: SqlTemplate }
  /** The coordinator combines the motions; what it gives passes through. */
  | {
      readonly kind: 'combine';
      readonly sql: SqlTemplate;
      /** A utility statement with a query inside takes no parameters: its motions stand in tables. */
      readonly utility: boolean;
      /** But DECLARE CURSOR takes them, and needs no table that a read-only transaction could not make. */
      readonly cursor?: true;
      /** It reads tables of the coordinator too: their snapshot is to be of the same moment as the motions'. */
      readonly readsHere?: true;
    }
  /** The same SQL on several nodes; rows are concatenated as they come; command tags' counts are added. */
  | {
      readonly kind: 'scatter';
      readonly sites: readonly NodeId[];
      readonly sql: SqlTemplate;
      /** Rows to give the client at most; null: all. Each site's SQL carries its own LIMIT already. */
      readonly limitRows: number | null;
      readonly offsetRows: number;
      /** Rows are locked, and no more than are wanted: one site after the other, until there are enough. */
      readonly inTurn?: true;
    }
  /** CREATE TABLE AS: the coordinator makes the empty table, and puts in it what `rows`, run there, yields. */
  | {
      readonly kind: 'fill table';
      readonly create: string;
      /** Null: the first one of the search path. */
      readonly schema: string | null;
      readonly name: string;
      readonly rows: SqlTemplate;
    }
  | ChangeStep;

/*
 * Changes. What they do to keys that no server can keep by itself (DESIGN 6) is reported by triggers, and settled when the statement has
 * ended.
 */
export type ChangeStep =
  /**
   * INSERT: `rows` runs on the coordinator and yields one row per row to insert, its columns being `columns` of `table`,
   * already of the columns' types with all defaults filled in. The executor cuts them by shard and sends each node
   * `head` + unnest of its rows + `tail`.
   */
  | {
      readonly kind: 'insert rows';
      readonly table: DistributedTable;
      readonly rows: SqlTemplate;
      /** Where the rows are computed: on the coordinator, or each where what it is made of is. */
      readonly sites: readonly Site[];
      /** `public.t (a, b)`, which rows from nodes may be copied into when they are many; null: they come from the coordinator. */
      readonly copiedInto: string | null;
      readonly columns: readonly MotionColumn[];
      /** `INSERT INTO public.t AS t (a, b) OVERRIDING SYSTEM VALUE`, up to where the rows' SELECT begins. */
      readonly head: string;
      /** ON CONFLICT … RETURNING …; may use parameters and constants. */
      readonly tail: SqlTemplate;
      /** With global unique indexes: what ON CONFLICT has to do with them. */
      readonly conflict: ConflictWithIndexes | null;
    }
  /** A change whose SQL may run as it stands on each site that may hold rows; tags and RETURNING rows add up. */
  | {
      readonly kind: 'change shards';
      readonly table: DistributedTable;
      readonly command: 'INSERT' | 'UPDATE' | 'DELETE' | 'MERGE';
      readonly sites: readonly NodeId[];
      readonly sql: SqlTemplate;
    }
  /**
   * UPDATE or DELETE whose rows the coordinator finds: `rows` yields, for each row to change, its address (`address`; the motions have
   * locked the rows), then `columns`. Each node gets the rows that it holds in one statement, `sql`, in which they are called
   * `pgherd_r` (motion `ownRows`).
   */
  | {
      readonly kind: 'change rows';
      readonly table: DistributedTable;
      readonly command: 'UPDATE' | 'DELETE';
      readonly sites: readonly Site[];
      readonly rows: SqlTemplate;
      readonly address: readonly MotionColumn[];
      readonly columns: readonly ShippedColumn[];
      readonly sql: SqlTemplate;
      readonly alias: string;
      /** The client's statement, for the coordinator to check types in. */
      readonly checked: SqlTemplate;
      /** The distribution column gets another value: rows may move. */
      readonly move: RowMove | null;
    }
  /**
   * MERGE with its source's rows sent along: `rows` runs on the coordinator and yields `keys` (where each row belongs), then
   * `columns`; in `sql`, as it runs on the nodes, they are called `alias` (motion `ownRows`).
   */
  | {
      readonly kind: 'merge rows';
      readonly table: DistributedTable;
      /** Nodes that may hold target rows. */
      readonly sites: readonly NodeId[];
      readonly rows: SqlTemplate;
      /** By which a source row is sent to one node; empty: all rows go to all nodes. */
      readonly keys: readonly MotionColumn[];
      /** The routing expressions over the source, whose types must be comparable with the keys; null: they have the keys' types. */
      readonly keySources: SqlTemplate | null;
      /**
       * Source rows go to where they match: this yields the numbers (`pgherd_n`) of rows that do. After their keys the rows have a column
       * that says whether a row without a match is inserted: then it goes where its keys belong.
       */
      readonly probe: SqlTemplate | null;
      readonly columns: readonly ShippedColumn[];
      readonly sql: SqlTemplate;
      readonly alias: string;
      /** Target rows without a source row count: every node runs it. */
      readonly bySource: boolean;
      readonly checked: SqlTemplate;
    }
  /** A change of a reference table: on the coordinator first (its row locks put writers in order), then as it stands on every node. */
  | {
      readonly kind: 'change copies';
      readonly table: DistributedTable;
      readonly sites: readonly NodeId[];
      readonly sql: SqlTemplate;
    }
  /**
   * The same for INSERT: `rows` is evaluated once on the coordinator, and every copy (coordinator first) gets
   * `head` + the rows + `tail`.
   */
  | {
      readonly kind: 'insert copies';
      readonly table: DistributedTable;
      readonly sites: readonly NodeId[];
      readonly rows: SqlTemplate;
      readonly columns: readonly MotionColumn[];
      readonly head: string;
      readonly tail: SqlTemplate;
    };

/** Rows whose value one of these indexes has already are left out, or update the row that has it. Places among the table's global indexes. */
export interface ConflictWithIndexes {
  readonly indexes: readonly number[];
  /** DO UPDATE, by the one index. */
  readonly update: ConflictUpdate | null;
}

export interface ConflictUpdate {
  /** What the clause calls the table. */
  readonly alias: string;
  readonly set: SqlTemplate;
  readonly where: SqlTemplate | null;
  /** The list. */
  readonly returning: SqlTemplate | null;
  /** The updated row gets another value in the index. */
  readonly movesKey: boolean;
  /** `excluded`, over the travelling rows (`proposedRows`). */
  readonly proposed: string;
  /** The client's statement, for the coordinator to check. */
  readonly checked: SqlTemplate;
}

/** A column of rows that are sent to nodes with a statement. `typeName` null: asked of the coordinator when the plan runs. */
export interface ShippedColumn {
  readonly name: string;
  readonly typeName: string | null;
  readonly collation: string | null;
}

/** Every column that is stored travels, so that a row can be deleted on one node and inserted on another. */
export interface RowMove {
  /** The table's columns, in the order of the step's columns, as they are routed. */
  readonly stored: readonly MotionColumn[];
  readonly deleteSql: SqlTemplate;
  readonly insertSql: SqlTemplate;
}

export type Rung =
  | 'local'
  | 'single shard'
  /** A function that runs on the node of its argument. */
  | 'delegated'
  | 'scatter'
  | 'two phases'
  | 'staged'
  | 'gather'
  | 'rows to shards'
  | 'all copies';

export interface Plan {
  readonly rung: Rung;
  /** Why this rung and no higher one: printed by EXPLAIN. */
  readonly reason: string;
  readonly constants: readonly PlanConstant[];
  readonly motions: readonly Motion[];
  readonly final: FinalStep;
  /** Servers that the final step changes (the executor makes them participants of two-phase commit). */
  readonly writes: boolean;
  /** Whether the client's answer has rows (SELECT, RETURNING). */
  readonly returnsRows: boolean;
  /** The plan holds for any parameter values (it may then be cached by text). */
  readonly valueIndependent: boolean;
  /** Whose entry says where the one row is that the statement is about. */
  readonly byIndex?: IndexRoute;
  /** The argument by which a call goes to a node. */
  readonly delegatedBy?: RelationKeys;
  /** Why a function with a distribution argument runs on the coordinator all the same. */
  readonly undelegated?: string;
  /** It may change keys that the router keeps, which it settles in the same transaction. */
  readonly touchesKeys?: true;
  /** Statement triggers of the tables that it changes. */
  readonly firings?: TriggerFirings;
  /** Changes in WITH, carried out in order after all motions; what they return goes into later ones and into the final step. */
  readonly changes?: readonly ChangeFirst[];
  /** Shards that the statement reads or changes, by the OID of their table, as far as the planner knows: for statistics. */
  readonly touches?: readonly TouchedShards[];
  /** Views that were expanded: to be checked before the plan runs. */
  readonly views?: readonly ViewUse[];
  /**
   * The coordinator has to find the statement right first: it changes a view, so its text is not what runs; or its steps cast what
   * PostgreSQL might not assign.
   */
  readonly describedFirst?: true;
  readonly checks?: ViewChecks;
  /** It is read in a transaction of its own, beside the session's, whose statements have snapshots of their own. */
  readonly beside?: BesidePlan;
  /** The snapshots of all fragments on nodes are taken before any of them runs; what steps before them yield reaches them later. */
  readonly opened?: true;
}

export interface BesidePlan {
  /** Rows of the coordinator are read as well; otherwise it only combines, in the session's own transaction. */
  readonly readsCoordinator: boolean;
}

export interface TriggerFirings {
  readonly before: readonly TriggerFiring[];
  readonly after: readonly TriggerFiring[];
  /** What the statement reads: rows that a BEFORE trigger writes there it must not see. */
  readonly reads: readonly RelationEntry[];
}

export interface ChangeFirst {
  readonly plan: Plan;
  /** The change alone as the client wrote it, for the coordinator to tell the types of its rows. */
  readonly checked: SqlTemplate;
}

export interface TouchedShards {
  readonly relation: number;
  readonly shards: readonly number[];
}

/** WITH CHECK OPTION: the last columns that the change returns, one for each view, say whether the row is one of the view's. */
export interface ViewChecks {
  readonly views: readonly string[];
  /** The client gets what stands before them; otherwise no rows. */
  readonly returnsRows: boolean;
}

export interface ViewUse {
  /** OIDs on the coordinator. */
  readonly view: number;
  /** The views around it, the nearest first. */
  readonly within: readonly number[];
  /** Distributed tables that it names itself. */
  readonly tables: readonly number[];
  /** What is done to it; left out: it is read. */
  readonly privileges?: readonly ('SELECT' | 'INSERT' | 'UPDATE' | 'DELETE')[];
}
