import type { Node, RangeVar } from '@pgsql/types';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { assert, unreachable } from '../core/assert.ts';
import { dialectStatementKind } from '../sql/dialect.ts';
import type { RawStatement } from '../sql/parse.ts';
import { namesTemporarySchema } from '../sql/temporary-names.ts';
import { nameParts, unwrap } from '../sql/walk.ts';
import { isConcurrent, maintainRelation, needsNoTransaction, truncate, vacuum } from './classify-maintenance.ts';
import { alterRole, byObjectType, createFunction, createRole, createSchema, extension } from './classify-object-ddl.ts';
import {
  alterTable,
  comment,
  createIndex,
  createRule,
  createTable,
  createTableAs,
  namesDistributed,
  onRelation,
  setSchema,
} from './classify-table-ddl.ts';
import type { DdlAction, DdlKind } from './ddl-action.ts';
import {
  type Context,
  changesTables,
  everyTable,
  isDistributed,
  local,
  localTypes,
  object,
  relationNamed,
  relationOf,
  relationTypes,
  withMissingOk,
} from './ddl-context.ts';
import { lock } from './lock-tables.ts';

/** Where a utility statement must run. Pure. */
export function classifyDdl(
  statement: RawStatement,
  snapshot: CatalogSnapshot,
  searchPath: readonly string[],
  temporaryNames: ReadonlySet<string> = new Set(),
): DdlAction {
  const { kind, fields } = unwrap(statement.node);
  const context = { statement, snapshot, searchPath, temporaryNames };
  const rule = rules[kind];
  const asked = rule ? rule(fields as never, context) : local;
  const ruled = asked.kind === 'objects' && namesTemporarySchema(statement.node) ? local : asked;
  const found = ruled.kind === 'local' && touchesKeys(kind, fields, context) ? localKeys(context) : ruled;
  const outside =
    found.kind === 'maintenance'
      ? needsNoTransaction(kind, fields)
      : (found.kind === 'local' && isConcurrent(kind, fields)) ||
        found.kind === 'create index online' ||
        found.kind === 'drop index online';
  return {
    ...found,
    changesCatalog: rule !== undefined && kind !== 'LockStmt' && found.kind !== 'refuse',
    outsideTransaction: outside,
  };
}

const shaping: ReadonlySet<string> = new Set(['AlterTableStmt', 'RenameStmt', 'DropStmt', 'AlterObjectSchemaStmt']);

/** A statement over the coordinator's own tables that makes, changes or drops foreign keys to or from distributed ones. */
function touchesKeys(kind: string, fields: object, context: Context): boolean {
  if (kind === 'CreateStmt') return namesDistributed(fields, context);
  return shaping.has(kind) && context.snapshot.foreignKeys.size > 0;
}

function localKeys({ statement: { text } }: Context): DdlKind {
  return { kind: 'local keys', text, checksKeys: false };
}

type Rule = (fields: never, context: Context) => DdlKind;

const rules: Readonly<Record<string, Rule>> = {
  CreateStmt: createTable,
  CreateTableAsStmt: createTableAs,
  ViewStmt: () => local,
  CreateSeqStmt: () => local,
  AlterSeqStmt: () => local,
  CreateForeignTableStmt: () => local,
  AlterTableStmt: alterTable,
  RenameStmt: rename,
  AlterObjectSchemaStmt: setSchema,
  AlterOwnerStmt: byObjectType,
  AlterObjectDependsStmt: byObjectType,
  DropStmt: drop,
  IndexStmt: createIndex,
  CreateTrigStmt: onRelation,
  CreatePolicyStmt: onRelation,
  AlterPolicyStmt: onRelation,
  CreateStatsStmt: onRelation,
  AlterStatsStmt: (_, context) => changesTables(context, everyTable(context)),
  RuleStmt: createRule,
  CommentStmt: comment,
  GrantStmt: grant,
  GrantRoleStmt: (_, context) => ({ kind: 'role', name: null, nodeText: context.statement.text }),
  CreateRoleStmt: createRole,
  AlterRoleStmt: alterRole,
  AlterRoleSetStmt: (_, context) => ({ kind: 'role', name: null, nodeText: context.statement.text }),
  DropRoleStmt: (fields: object, context) => ({
    kind: 'role',
    name: null,
    nodeText: withMissingOk('DropRoleStmt', fields, context),
  }),
  DropOwnedStmt: (_, context) => object(context, { scope: everyTable(context) }),
  ReassignOwnedStmt: (_, context) => object(context, { scope: everyTable(context) }),
  CreateEnumStmt: (_, context) => object(context),
  AlterEnumStmt: (_, context) => object(context),
  CompositeTypeStmt: (_, context) => object(context),
  CreateRangeStmt: (_, context) => object(context),
  CreateDomainStmt: (_, context) => object(context),
  AlterDomainStmt: (_, context) => object(context),
  AlterTypeStmt: (_, context) => object(context),
  DefineStmt: (_, context) => object(context),
  CreateCastStmt: (_, context) => object(context),
  CreateConversionStmt: (_, context) => object(context),
  CreateOpClassStmt: (_, context) => object(context),
  CreateOpFamilyStmt: (_, context) => object(context),
  AlterOpFamilyStmt: (_, context) => object(context),
  AlterOperatorStmt: (_, context) => object(context),
  CreatePLangStmt: (_, context) => object(context),
  AlterTSDictionaryStmt: (_, context) => object(context),
  AlterTSConfigurationStmt: (_, context) => object(context),
  AlterCollationStmt: (_, context) => object(context),
  CreateFunctionStmt: createFunction,
  AlterFunctionStmt: (_, context) => object(context),
  CreateSchemaStmt: createSchema,
  CreateExtensionStmt: (fields: { extname?: string }, context) =>
    extension(fields.extname, context, 'CREATE EXTENSION'),
  AlterExtensionStmt: (fields: { extname?: string }, context) => extension(fields.extname, context, 'ALTER EXTENSION'),
  AlterExtensionContentsStmt: (_, context) => object(context),
  TruncateStmt: truncate,
  LockStmt: lock,
  VacuumStmt: vacuum,
  ReindexStmt: maintainRelation,
  ClusterStmt: maintainRelation,
  CreatedbStmt: () => ({ kind: 'refuse', code: 'PH005', what: 'CREATE DATABASE' }),
  [dialectStatementKind]: dialectStatement,
  DropdbStmt: () => ({ kind: 'refuse', code: 'PH005', what: 'DROP DATABASE' }),
};

function dialectStatement(_: object, { statement: { dialect } }: Context): DdlKind {
  assert(dialect, 'a statement of a dialect says what it is');
  switch (dialect.kind) {
    case 'alter distribution':
      return { kind: 'redistribute', wish: dialect };
    case 'create node':
    case 'alter node':
    case 'drop node':
      return { kind: 'node', statement: dialect };
    case 'distribution':
    case 'execute direct':
      // The one stands beside another statement, the other is the session's.
      return local;
    default:
      return unreachable(dialect);
  }
}

interface Rename {
  readonly renameType?: string;
  readonly relationType?: string;
  readonly relation?: RangeVar;
  readonly subname?: string;
  readonly newname?: string;
}

function rename(fields: Rename, context: Context): DdlKind {
  switch (fields.renameType) {
    case 'OBJECT_TABLE':
    case 'OBJECT_COLUMN':
    case 'OBJECT_TABCONSTRAINT':
    case 'OBJECT_POLICY':
    case 'OBJECT_TRIGGER': {
      const relation = relationOf(context, fields.relation);
      // ALTER TABLE … RENAME is accepted for indexes too.
      if (relation?.kind === 'index') return changesTables(context, everyTable(context));
      if (!isDistributed(relation)) return local;
      return changesTables(context, [relation.oid], { shellAccess: false, withoutLoop: [relation.oid] });
    }
    case 'OBJECT_INDEX':
    case 'OBJECT_STATISTIC_EXT':
      return changesTables(context, everyTable(context), { shellAccess: false });
    case 'OBJECT_SCHEMA':
      return { kind: 'rename schema', from: fields.subname ?? '', to: fields.newname ?? '' };
    case 'OBJECT_ROLE':
      return { kind: 'role', name: null, nodeText: context.statement.text };
    case 'OBJECT_DATABASE':
      return { kind: 'refuse', code: 'PH005', what: 'ALTER DATABASE … RENAME' };
    case 'OBJECT_ATTRIBUTE':
      return fields.relationType === 'OBJECT_TYPE' ? object(context) : local;
    default:
      return localTypes.has(fields.renameType ?? '') ? local : object(context);
  }
}

interface Drop {
  readonly concurrent?: boolean;
  readonly removeType?: string;
  readonly objects?: Node[];
  readonly behavior?: string;
}

function drop(fields: Drop, context: Context): DdlKind {
  const type = fields.removeType ?? '';
  const names = (fields.objects ?? []).map((entry) => ('List' in entry ? nameParts(entry.List.items) : []));
  if (type === 'OBJECT_EXTENSION') {
    const [first] = fields.objects ?? [];
    const name = first && 'String' in first ? first.String.sval : undefined;
    if (name === 'citus' || name === 'pg_stat_statements') return extension(name, context, 'DROP EXTENSION');
  }
  if (type === 'OBJECT_SCHEMA') {
    const schemas = (fields.objects ?? []).flatMap((entry) => ('String' in entry ? [entry.String.sval ?? ''] : []));
    return { kind: 'drop schemas', names: schemas, scope: everyTable(context) };
  }
  if (localTypes.has(type)) return local;
  if (!relationTypes.has(type)) {
    const scope = everyTable(context);
    return object(context, { scope, nodeText: withMissingOk('DropStmt', fields, context) });
  }
  if (type === 'OBJECT_INDEX' && fields.concurrent) {
    const index = relationNamed(context, names[0] ?? []);
    // More than one, and CASCADE, PostgreSQL refuses.
    if (names.length !== 1 || index?.kind !== 'index' || fields.behavior === 'DROP_CASCADE') return local;
    return { kind: 'drop index online', index: index.oid, refusedInBlock: 'DROP INDEX CONCURRENTLY' };
  }
  // The names of triggers and policies come after those of their tables.
  const onTable = type === 'OBJECT_TABLE' ? names : names.map((parts) => parts.slice(0, -1));
  const tables = onTable.flatMap((parts) => {
    const table = relationNamed(context, parts);
    return isDistributed(table) ? [table.oid] : [];
  });
  const withoutLoop = type === 'OBJECT_TABLE' ? tables : [];
  const reachesFar = fields.behavior === 'DROP_CASCADE' || type === 'OBJECT_INDEX' || type === 'OBJECT_STATISTIC_EXT';
  return changesTables(context, reachesFar ? everyTable(context) : tables, { shellAccess: false, withoutLoop });
}

interface Grant {
  readonly targtype?: string;
  readonly objtype?: string;
  readonly objects?: Node[];
}

function grant(fields: Grant, context: Context): DdlKind {
  switch (fields.objtype) {
    case 'OBJECT_TABLE': {
      if (fields.targtype === 'ACL_TARGET_ALL_IN_SCHEMA')
        return changesTables(context, everyTable(context), { shellAccess: false });
      const tables = (fields.objects ?? [])
        .map((entry) => relationOf(context, 'RangeVar' in entry ? entry.RangeVar : undefined))
        .filter(isDistributed);
      return changesTables(
        context,
        tables.map((table) => table.oid),
        { shellAccess: false },
      );
    }
    case 'OBJECT_SCHEMA':
      return { kind: 'schema privileges' };
    default:
      return localTypes.has(fields.objtype ?? '') || fields.objtype === 'OBJECT_PARAMETER_ACL'
        ? local
        : object(context);
  }
}
