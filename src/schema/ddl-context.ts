import type { Node } from '@pgsql/types';
import { type CatalogSnapshot, isOwnSchema, type RelationEntry, resolveRelation } from '../catalog/snapshot.ts';
import { deparseChecked } from '../sql/deparse.ts';
import type { RawStatement } from '../sql/parse.ts';
import type { DdlKind } from './ddl-action.ts';
import { isMaintenanceText } from './guard-sql.ts';

/** What the classification may look at. */
export interface Context {
  readonly statement: RawStatement;
  readonly snapshot: CatalogSnapshot;
  readonly searchPath: readonly string[];
  /** Names of the session's temporary tables, which shadow others. */
  readonly temporaryNames: ReadonlySet<string>;
}

export const local: DdlKind = { kind: 'local' };

interface Objects {
  readonly scope?: readonly number[];
  readonly nodeText?: string;
  readonly nodeFunction?: string | null;
}

export function object(
  context: Context,
  { scope = [], nodeText = context.statement.text, nodeFunction = null }: Objects = {},
): DdlKind {
  return { kind: 'objects', scope, nodeText, nodeFunction };
}

export interface TablesOptions {
  readonly shellAccess?: boolean;
  readonly text?: string | null;
  readonly withoutLoop?: readonly number[];
  readonly checksKeys?: boolean;
}

export function changesTables(context: Context, scope: readonly number[], options: TablesOptions = {}): DdlKind {
  if (scope.length === 0) return local;
  const shellAccess = options.shellAccess === true || !isMaintenanceText(context.statement.text);
  return {
    kind: 'tables',
    scope,
    shellAccess: shellAccess && options.shellAccess !== false,
    text: options.text ?? null,
    withoutLoop: options.withoutLoop ?? [],
    checksKeys: options.checksKeys === true,
  };
}

/** All distributed and reference tables, hidden ones left out. */
export function everyTable({ snapshot }: Context): number[] {
  return [...snapshot.relationsByOid.values()]
    .filter((relation) => relation.distributed !== null && !isOwnSchema(relation.schema))
    .map((relation) => relation.oid)
    .sort((a, b) => a - b);
}

export function relationOf(
  context: Context,
  name: { schemaname?: string; relname?: string } | undefined,
): RelationEntry | null {
  if (name?.relname === undefined) return null;
  if (name.schemaname === undefined && context.temporaryNames.has(name.relname)) return null;
  const found = resolveRelation(context.snapshot, name.schemaname, name.relname, context.searchPath);
  return found.kind === 'relation' ? found.relation : null;
}

export function isDistributed(relation: RelationEntry | null): relation is RelationEntry {
  return relation?.distributed != null;
}

/** By a list of names, as in DROP and COMMENT. */
export function relationNamed(context: Context, parts: readonly (string | null)[]): RelationEntry | null {
  const relname = parts.at(-1);
  const schemaname = parts.at(-2);
  if (!relname) return null;
  return relationOf(context, schemaname ? { schemaname, relname } : { relname });
}

/** Object types of which nodes have none. */
export const localTypes: ReadonlySet<string> = new Set([
  'OBJECT_SEQUENCE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_FOREIGN_TABLE',
  'OBJECT_FOREIGN_SERVER',
  'OBJECT_FDW',
  'OBJECT_RULE',
  'OBJECT_EVENT_TRIGGER',
  'OBJECT_PUBLICATION',
  'OBJECT_SUBSCRIPTION',
  'OBJECT_TABLESPACE',
  'OBJECT_DATABASE',
  'OBJECT_LARGEOBJECT',
  'OBJECT_USER_MAPPING',
  'OBJECT_DEFACL',
  'OBJECT_DEFAULT',
]);

export const relationTypes: ReadonlySet<string> = new Set([
  'OBJECT_TABLE',
  'OBJECT_INDEX',
  'OBJECT_TRIGGER',
  'OBJECT_POLICY',
  'OBJECT_STATISTIC_EXT',
]);

/** Nodes may lack what was never propagated to them, such as a function over a local table's row type. */
export function withMissingOk(kind: string, fields: object, context: Context): string {
  const statement = { [kind]: { ...fields, missing_ok: true } } as unknown as Node;
  try {
    return deparseChecked(statement);
  } catch {
    return context.statement.text;
  }
}
