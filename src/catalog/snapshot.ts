import { isLiveView, serverTrafficName } from './compatibility-sql.ts';
import type { Delegation } from './delegation.ts';
import type { KeptForeignKey } from './foreign-key.ts';
import type { SessionEffects } from './session-effects.ts';
import type { StatementTrigger } from './statement-trigger.ts';
import { statisticsSchema, statisticsViews } from './statistics-views.ts';

/**
 * What is where: an immutable picture of the catalog (schema `pgherd` and the system catalogs of the coordinator), with a
 * version. Planning reads it and nothing else, so a plan is a pure function of statement and snapshot.
 */

export type NodeId = number;

export interface NodeEntry {
  readonly id: NodeId;
  /** `gp_segment_id`: the node's place in the order of ids, from 0. */
  readonly index: number;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly active: boolean;
}

/** A column of a relation on the coordinator, dropped ones left out. */
export interface ColumnEntry {
  readonly name: string;
  readonly attnum: number;
  readonly typeOid: number;
  readonly typmod: number;
  /** `format_type(atttypid, atttypmod)` with an empty search_path: safe to write in a cast. */
  readonly typeName: string;
  /** The schema-qualified, quoted name of a collation that is not the type's default; null otherwise. */
  readonly collation: string | null;
  readonly notNull: boolean;
  readonly default: ColumnDefault;
}

/** What an INSERT that leaves the column out gets. Expressions are `pg_get_expr` with an empty search_path. */
export type ColumnDefault =
  | { readonly kind: 'none' }
  /** Immutable: the node's own default gives the same value. */
  | { readonly kind: 'constant'; readonly expression: string }
  /** `nextval('seq')` and nothing else, or an identity column. `sequence` is schema-qualified and quoted. */
  | { readonly kind: 'sequence'; readonly sequence: string; readonly identity: 'always' | 'by default' | null }
  /** Stable or volatile: evaluated once, on the coordinator. */
  | { readonly kind: 'volatile'; readonly expression: string }
  /** GENERATED ALWAYS AS (…), stored or virtual. */
  | { readonly kind: 'generated'; readonly expression: string; readonly stored: boolean };

/** The families of hash operators that DESIGN 1 lets share a co-location group; other types stand alone, by type name. */
export type KeyFamily = string;

export interface KeyColumn {
  readonly name: string;
  readonly attnum: number;
  /** Of a column of a domain: the OID of the type that the domain is over, which is what hashes. */
  readonly typeOid: number;
  readonly typeName: string;
  readonly family: KeyFamily;
  readonly collation: string | null;
  /** The column's collation orders by bytes ("C", C.UTF-8), or its type has none. Left out: as for the type's default. */
  readonly bytewise?: boolean;
}

/** `random`: a row may be on any of the table's nodes. */
export type DistributionMethod = 'hash' | 'range' | 'list' | 'random';

/** The methods that say by a row's key where it is. */
export type KeyedMethod = Exclude<DistributionMethod, 'random'>;

/** The bounds of one shard, as SQL literals of the key's type in PostgreSQL's own output form (ISO dates). */
export type ShardBounds =
  | { readonly kind: 'hash'; readonly modulus: number; readonly remainder: number }
  /** Inclusive lower, exclusive upper; null is MINVALUE / MAXVALUE. */
  | { readonly kind: 'range'; readonly from: string | null; readonly to: string | null }
  /** A null among the values is NULL itself. */
  | { readonly kind: 'list'; readonly values: readonly (string | null)[] }
  | { readonly kind: 'default' }
  /** One shard per node, for whatever rows come. */
  | { readonly kind: 'random' };

/** A slot of a co-location group: shard k of every table of the group lives on this node. */
export interface GroupShard {
  readonly index: number;
  readonly nodeId: NodeId;
  readonly bounds: ShardBounds;
}

export interface ColocationGroup {
  readonly id: number;
  readonly method: DistributionMethod;
  readonly families: readonly KeyFamily[];
  readonly shards: readonly GroupShard[];
}

/** A unique key without the distribution column, kept by a hidden distributed table (DESIGN 6). */
export interface GlobalIndex {
  readonly name: string;
  /** Columns of the hidden table, in index order: those of the table under their own names. */
  readonly columns: readonly string[];
  /** SQL over the table's columns, for each of `columns` that is none of the table's; null, or no place: it is one. */
  readonly expressions: readonly (string | null)[];
  /** Predicate of a partial index, or null. */
  readonly predicate: string | null;
  readonly nullsNotDistinct: boolean;
  /** The hidden table: distributed by `columns`; its columns are `columns` and then the owner's distribution columns. */
  readonly hiddenSchema: string;
  readonly hiddenName: string;
}

export type Distribution =
  | {
      readonly kind: 'distributed';
      readonly method: DistributionMethod;
      /** None, when the method is `random`. */
      readonly keys: readonly KeyColumn[];
      readonly group: ColocationGroup;
      /** Shard ids by shard index. */
      readonly shardIds: readonly number[];
      readonly globalIndexes: readonly GlobalIndex[];
    }
  | { readonly kind: 'reference'; readonly shardId: number };

export interface DistributedTable {
  /** OID of the shell table on the coordinator. */
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly ColumnEntry[];
  /** Column names of the primary key, in order; empty without one. */
  readonly primaryKey: readonly string[];
  readonly distribution: Distribution;
  readonly hasRowTriggers: boolean;
  /** Users' own, which fire on the coordinator. */
  readonly statementTriggers: readonly StatementTrigger[];
  /** Some role has rights on some columns only: hidden tables, which show others, are not for it. */
  readonly hasColumnGrants?: boolean;
  readonly hasRowSecurity: boolean;
  /** Rows and bytes as last estimated; -1 when unknown. */
  readonly estimatedRows: number;
}

export type RelationKind =
  | 'table'
  | 'view'
  | 'materialized view'
  | 'sequence'
  | 'foreign table'
  | 'composite type'
  | 'index';

export interface ViewOptions {
  readonly checkOption: 'local' | 'cascaded' | null;
  /** INSTEAD OF triggers, or rules besides its own. */
  readonly hasActions: boolean;
  readonly isBarrier: boolean;
}

/** Any relation of the coordinator outside the system schemas. `distributed` is set for distributed and reference tables. */
export interface RelationEntry {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  readonly columns: readonly ColumnEntry[];
  readonly distributed: DistributedTable | null;
  /** Users' own. Left out: none. */
  readonly hasTriggers?: boolean;
  /** Of a view: `pg_get_viewdef` with an empty search_path, without the closing semicolon. */
  readonly viewDefinition: string | null;
  /** Of a view that is not temporary. */
  readonly viewOptions?: ViewOptions;
}

export interface FunctionTraits {
  readonly schema: string;
  readonly name: string;
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  readonly kind: 'function' | 'aggregate' | 'window' | 'procedure';
  readonly returnsSet: boolean;
  readonly strict: boolean;
  /** Made by a user: may read tables. */
  readonly userDefined: boolean;
}

/** What users' functions may leave behind in a session. */
export interface FunctionEffects {
  /** By name; left out: nothing. */
  readonly byName: ReadonlyMap<string, SessionEffects>;
  /** Of all trigger functions together. */
  readonly triggers: SessionEffects;
}

export interface CatalogSnapshot {
  readonly version: number;
  readonly clusterId: string;
  /** `server_version_num` of the oldest server of the herd. */
  readonly lowestServerVersion: number;
  readonly nodes: readonly NodeEntry[];
  /** schema → name → relation. */
  readonly relations: ReadonlyMap<string, ReadonlyMap<string, RelationEntry>>;
  readonly relationsByOid: ReadonlyMap<number, RelationEntry>;
  readonly groups: ReadonlyMap<number, ColocationGroup>;
  /** Schemas whose tables are all on one node: the name of each, and its co-location group. */
  readonly distributedSchemas: ReadonlyMap<string, number>;
  /** Those that the router keeps, by OID. */
  readonly foreignKeys: ReadonlyMap<number, KeptForeignKey>;
  /** OIDs of tables by whose changes a key may be touched that the router keeps: by themselves, or by foreign keys' actions. */
  readonly keptTables: ReadonlySet<number>;
  /** Functions with a distribution argument, by unqualified name. */
  readonly delegations: ReadonlyMap<string, readonly Delegation[]>;
  /** By unqualified name, every overload of every schema. */
  readonly functions: ReadonlyMap<string, readonly FunctionTraits[]>;
  readonly functionEffects: FunctionEffects;
  /** Left out: not known. */
  readonly userCode?: UserCode;
}

/** Code of users' that statements call without naming a function. What is written in C and says that it is not volatile does not count. */
export interface UserCode {
  /** Names of operators. */
  readonly operators: ReadonlySet<string>;
  readonly hasCasts: boolean;
}

/** The schema of the leaf of shard `index` of the tables in `userSchema`: `pgherd_s07_public`. */
export function leafSchema(index: number, userSchema: string): string {
  return `pgherd_s${String(index).padStart(2, '0')}_${userSchema}`;
}

/**
 * The schema of what holds the rows of a table's shard on its node, under the table's own name: a leaf, or, where rows are spread at
 * random, the table itself.
 */
export function shardSchema({ schema, distribution }: DistributedTable, index: number): string {
  return isKeyed(distribution) ? leafSchema(index, schema) : schema;
}

/** Whether all of a table's rows are on one node. */
export function isOnOneNode(distribution: Distribution): boolean {
  return (
    distribution.kind === 'distributed' && distribution.keys.length === 0 && distribution.group.shards.length === 1
  );
}

/** Whether rows with equal keys are on one node. */
export function isKeyed(distribution: Distribution): boolean {
  return distribution.kind === 'distributed' && distribution.keys.length > 0;
}

/** The schemas that hold what pgherd itself keeps, on the coordinator and on nodes. */
export function isOwnSchema(schema: string): boolean {
  return schema === 'pgherd' || schema.startsWith('pgherd_');
}

/** What a session's temporary schema is called where its true name (`pg_temp_3`) does not matter. */
export const temporarySchema = 'pg_temp';

export type Resolution =
  | { readonly kind: 'relation'; readonly relation: RelationEntry }
  /** Not known to the snapshot: a system catalog, a temporary table, or nothing at all. PostgreSQL decides. */
  | { readonly kind: 'unknown' };

/** Rows of such a relation are told by the router when a statement reads it. */
export function isLiveRelation({ schema, name, kind }: RelationEntry): boolean {
  return schema === 'pgherd' && kind === 'view' && (name.startsWith('live_') || name === serverTrafficName);
}

/**
 * What an unqualified name of PostgreSQL's statistics stands for: the view over all servers. A schema that search_path puts before
 * pg_catalog goes before it.
 */
export function clusterWideRelation(
  snapshot: CatalogSnapshot,
  name: string,
  searchPath: readonly string[],
): RelationEntry | null {
  if (!statisticsViews.some((view) => view.name === name)) return null;
  const before = searchPath.slice(0, Math.max(searchPath.indexOf('pg_catalog'), 0));
  if (before.some((schema) => snapshot.relations.get(schema)?.has(name))) return null;
  return snapshot.relations.get(statisticsSchema)?.get(name) ?? null;
}

/**
 * The relation a name stands for. `searchPath` is the effective one (`current_schemas(true)`), so it may begin with a
 * temporary schema, which the snapshot does not know, and `pg_catalog`, of which it knows the views it must expand.
 */
export function resolveRelation(
  snapshot: CatalogSnapshot,
  schema: string | undefined,
  name: string,
  searchPath: readonly string[],
): Resolution {
  if (schema !== undefined) {
    const relation = snapshot.relations.get(schema)?.get(name);
    return relation ? { kind: 'relation', relation } : { kind: 'unknown' };
  }
  for (const candidate of searchPath) {
    const relation = snapshot.relations.get(candidate)?.get(name);
    if (relation) return { kind: 'relation', relation };
  }
  // Where they could not be put into pg_catalog they must be found all the same.
  const own = isLiveView(name) ? snapshot.relations.get('pgherd')?.get(name) : undefined;
  return own ? { kind: 'relation', relation: own } : { kind: 'unknown' };
}
