import type { Node, RangeVar } from '@pgsql/types';
import { type CatalogSnapshot, isOwnSchema, type RelationEntry, resolveRelation } from '../catalog/snapshot.ts';
import { deparseChecked } from '../sql/deparse.ts';
import type { RawStatement } from '../sql/parse.ts';
import { nameParts, unwrap, walk } from '../sql/walk.ts';
import type { DdlAction, DdlKind } from './ddl-action.ts';
import { isMaintenanceText } from './guard-sql.ts';

/** What the classification may look at. */
interface Context {
  readonly statement: RawStatement;
  readonly snapshot: CatalogSnapshot;
  readonly searchPath: readonly string[];
  /** Names of the session's temporary tables, which shadow others. */
  readonly temporaryNames: ReadonlySet<string>;
}

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
  const found = rule ? rule(fields as never, context) : local;
  const outside =
    found.kind === 'maintenance'
      ? needsNoTransaction(kind, fields)
      : found.kind === 'local' && isConcurrent(kind, fields);
  return { ...found, changesCatalog: rule !== undefined && found.kind !== 'refuse', outsideTransaction: outside };
}

const local: DdlKind = { kind: 'local' };

type Rule = (fields: never, context: Context) => DdlKind;

const rules: Readonly<Record<string, Rule>> = {
  CreateStmt: createTable,
  CreateTableAsStmt: () => local,
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
  VacuumStmt: vacuum,
  ReindexStmt: maintainRelation,
  ClusterStmt: maintainRelation,
  CreatedbStmt: () => ({ kind: 'refuse', code: 'PH005', what: 'CREATE DATABASE' }),
  DropdbStmt: () => ({ kind: 'refuse', code: 'PH005', what: 'DROP DATABASE' }),
};

interface Objects {
  readonly scope?: readonly number[];
  readonly nodeText?: string;
  readonly nodeFunction?: string | null;
}

function object(
  context: Context,
  { scope = [], nodeText = context.statement.text, nodeFunction = null }: Objects = {},
): DdlKind {
  return { kind: 'objects', scope, nodeText, nodeFunction };
}

interface TablesOptions {
  readonly shellAccess?: boolean;
  readonly text?: string | null;
}

function changesTables(context: Context, scope: readonly number[], options: TablesOptions = {}): DdlKind {
  if (scope.length === 0) return local;
  const shellAccess = options.shellAccess === true || !isMaintenanceText(context.statement.text);
  return {
    kind: 'tables',
    scope,
    shellAccess: shellAccess && options.shellAccess !== false,
    text: options.text ?? null,
  };
}

/** All distributed and reference tables, hidden ones left out. */
function everyTable({ snapshot }: Context): number[] {
  return [...snapshot.relationsByOid.values()]
    .filter((relation) => relation.distributed !== null && !isOwnSchema(relation.schema))
    .map((relation) => relation.oid)
    .sort((a, b) => a - b);
}

function relationOf(
  context: Context,
  name: { schemaname?: string; relname?: string } | undefined,
): RelationEntry | null {
  if (name?.relname === undefined) return null;
  if (name.schemaname === undefined && context.temporaryNames.has(name.relname)) return null;
  const found = resolveRelation(context.snapshot, name.schemaname, name.relname, context.searchPath);
  return found.kind === 'relation' ? found.relation : null;
}

function isDistributed(relation: RelationEntry | null): relation is RelationEntry {
  return relation?.distributed != null;
}

/** By a list of names, as in DROP and COMMENT. */
function relationNamed(context: Context, parts: readonly (string | null)[]): RelationEntry | null {
  const relname = parts.at(-1);
  const schemaname = parts.at(-2);
  if (!relname) return null;
  return relationOf(context, schemaname ? { schemaname, relname } : { relname });
}

interface CreateTable {
  readonly relation?: RangeVar;
  readonly tableElts?: Node[];
  readonly inhRelations?: Node[];
}

function createTable(fields: CreateTable, context: Context): DdlKind {
  const parents = (fields.inhRelations ?? []).map((parent) =>
    relationOf(context, 'RangeVar' in parent ? parent.RangeVar : undefined),
  );
  const parent = parents.find(isDistributed);
  if (parent)
    return {
      kind: 'refuse',
      code: 'PH031',
      what: `a table that inherits from, or is a partition of, "${parent.name}"`,
    };
  let like = false;
  walk(fields.tableElts, (kind, element: { relation?: RangeVar }) => {
    if (kind === 'TableLikeClause') like ||= isDistributed(relationOf(context, element.relation));
    return undefined;
  });
  return like ? { kind: 'create like' } : local;
}

interface AlterTable {
  readonly relation?: RangeVar;
  readonly objtype?: string;
  readonly cmds?: Node[];
}

function alterTable(fields: AlterTable, context: Context): DdlKind {
  switch (fields.objtype) {
    case 'OBJECT_TYPE':
      return object(context);
    case 'OBJECT_TABLE':
      break;
    case 'OBJECT_INDEX':
      return changesTables(context, everyTable(context));
    default:
      return local;
  }
  const table = relationOf(context, fields.relation);
  const commands = (fields.cmds ?? []).flatMap((command) =>
    'AlterTableCmd' in command ? [command.AlterTableCmd] : [],
  );
  const named = mentionedTables(fields.cmds, context);
  if (!isDistributed(table)) return alterLocal(table, named, commands);
  const refused = commands.find((command) => refusedCommands.has(command.subtype ?? ''));
  if (refused)
    return { kind: 'refuse', code: 'PH031', what: `${refused.subtype!.slice(3)} on distributed table "${table.name}"` };
  const foreign = named.find((entry) => entry.distributed?.distribution.kind === 'distributed');
  if (foreign && table.distributed?.distribution.kind === 'reference') {
    return {
      kind: 'refuse',
      code: 'PH010',
      what: `a foreign key of reference table "${table.name}" to "${foreign.name}"`,
    };
  }
  const cascades = commands.some((command) => command.behavior === 'DROP_CASCADE');
  return changesTables(context, cascades ? everyTable(context) : [table.oid], lookingAtRows(context, fields.cmds));
}

/** A change of type makes the foreign keys of the column anew. */
const validating: ReadonlySet<string> = new Set(['AT_ValidateConstraint', 'AT_AlterColumnType']);

/** Validating a foreign key reads both tables. */
function lookingAtRows(context: Context, commands: Node[] | undefined): TablesOptions {
  let looks = !isMaintenanceText(context.statement.text);
  walk(commands, (kind, fields: { contype?: string; subtype?: string }) => {
    looks ||= kind === 'Constraint' && fields.contype === 'CONSTR_FOREIGN';
    looks ||= kind === 'AlterTableCmd' && validating.has(fields.subtype ?? '');
    return undefined;
  });
  return { shellAccess: looks };
}

const refusedCommands: ReadonlySet<string> = new Set([
  'AT_AttachPartition',
  'AT_DetachPartition',
  'AT_AddInherit',
  'AT_DropInherit',
  'AT_AddOf',
]);

function mentionedTables(value: unknown, context: Context): RelationEntry[] {
  const found: RelationEntry[] = [];
  walk(value, (kind, fields: { pktable?: RangeVar; name?: RangeVar } & RangeVar) => {
    const inside = kind === 'Constraint' ? fields.pktable : kind === 'PartitionCmd' ? fields.name : undefined;
    const entry = relationOf(context, kind === 'RangeVar' ? fields : inside);
    if (isDistributed(entry)) found.push(entry);
    return undefined;
  });
  return found;
}

function alterLocal(
  table: RelationEntry | null,
  named: readonly RelationEntry[],
  commands: readonly { subtype?: string; def?: Node }[],
): DdlKind {
  const attached = commands.some((command) => refusedCommands.has(command.subtype ?? ''));
  if (attached && named.length > 0)
    return { kind: 'refuse', code: 'PH031', what: `"${named[0]!.name}" as a partition` };
  const target = named.find((entry) => entry.distributed?.distribution.kind === 'distributed');
  const waits = commands.every(
    (command) => !command.def || !('Constraint' in command.def) || command.def.Constraint.skip_validation,
  );
  if (!target || waits) return local;
  const what = `a foreign key of local table "${table?.name ?? ''}" to distributed table "${target.name}"`;
  return { kind: 'refuse', code: 'PH010', what };
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
      return isDistributed(relation) ? changesTables(context, [relation.oid], { shellAccess: false }) : local;
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

/** Object types of which nodes have none. */
const localTypes: ReadonlySet<string> = new Set([
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

interface OfObjectType {
  readonly objectType?: string;
  readonly relation?: RangeVar;
}

function byObjectType(fields: OfObjectType, context: Context): DdlKind {
  const type = fields.objectType ?? '';
  if (type === 'OBJECT_STATISTIC_EXT') return changesTables(context, everyTable(context), { shellAccess: false });
  return localTypes.has(type) || relationTypes.has(type) ? local : object(context);
}

function setSchema(fields: OfObjectType, context: Context): DdlKind {
  if (fields.objectType !== 'OBJECT_TABLE') return byObjectType(fields, context);
  const relation = relationOf(context, fields.relation);
  return isDistributed(relation) ? changesTables(context, [relation.oid], { shellAccess: false }) : local;
}

const relationTypes: ReadonlySet<string> = new Set([
  'OBJECT_TABLE',
  'OBJECT_INDEX',
  'OBJECT_TRIGGER',
  'OBJECT_POLICY',
  'OBJECT_STATISTIC_EXT',
]);

interface Drop {
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
    if (name === 'citus') return extension(name, context, 'DROP EXTENSION');
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
  if (fields.behavior !== 'DROP_CASCADE' && type !== 'OBJECT_INDEX' && type !== 'OBJECT_STATISTIC_EXT') {
    // The names of triggers and policies come after those of their tables.
    const onTable = type === 'OBJECT_TABLE' ? names : names.map((parts) => parts.slice(0, -1));
    const tables = onTable.map((parts) => relationNamed(context, parts)).filter(isDistributed);
    return changesTables(
      context,
      tables.map((table) => table.oid),
      { shellAccess: false },
    );
  }
  return changesTables(context, everyTable(context), { shellAccess: false });
}

/** Nodes may lack what was never propagated to them, such as a function over a local table's row type. */
function withMissingOk(kind: string, fields: object, context: Context): string {
  const statement = { [kind]: { ...fields, missing_ok: true } } as unknown as Node;
  try {
    return deparseChecked(statement);
  } catch {
    return context.statement.text;
  }
}

interface CreateIndex {
  readonly relation?: RangeVar;
  readonly concurrent?: boolean;
}

function createIndex(fields: CreateIndex, context: Context): DdlKind {
  const relation = relationOf(context, fields.relation);
  if (!isDistributed(relation)) return local;
  if (!fields.concurrent) return changesTables(context, [relation.oid]);
  const { concurrent: _, ...plain } = fields;
  const text = deparseChecked({ IndexStmt: plain } as unknown as Node);
  return changesTables(context, [relation.oid], { text, shellAccess: !isMaintenanceText(text) });
}

function onRelation(fields: { relation?: RangeVar; table?: RangeVar; relations?: Node[] }, context: Context): DdlKind {
  const [first] = fields.relations ?? [];
  const name = fields.relation ?? fields.table ?? (first && 'RangeVar' in first ? first.RangeVar : undefined);
  const relation = relationOf(context, name);
  return isDistributed(relation) ? changesTables(context, [relation.oid], { shellAccess: false }) : local;
}

function createRule(fields: { relation?: RangeVar }, context: Context): DdlKind {
  const relation = relationOf(context, fields.relation);
  if (!isDistributed(relation)) return local;
  return { kind: 'refuse', code: 'PH034', what: `a rule on distributed table "${relation.name}"` };
}

/** Comments of other objects serve those who look at the coordinator. */
function comment(fields: { objtype?: string; object?: Node }, context: Context): DdlKind {
  const parts = fields.object && 'List' in fields.object ? nameParts(fields.object.List.items) : [];
  const ofTable =
    fields.objtype === 'OBJECT_TABLE' ? parts : fields.objtype === 'OBJECT_COLUMN' ? parts.slice(0, -1) : [];
  const relation = relationNamed(context, ofTable);
  return isDistributed(relation) ? changesTables(context, [relation.oid], { shellAccess: false }) : local;
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

interface CreateRole {
  readonly role?: string;
  readonly options?: Node[];
}

/** Nodes get the verifier that the coordinator made of the password, never the password. */
function createRole(fields: CreateRole, context: Context): DdlKind {
  const options = (fields.options ?? []).filter(
    (option) => !('DefElem' in option) || option.DefElem.defname !== 'password',
  );
  const withPassword = options.length !== (fields.options ?? []).length;
  const nodeText = withPassword
    ? deparseChecked({ CreateRoleStmt: { ...fields, options } } as unknown as Node)
    : context.statement.text;
  return { kind: 'role', name: fields.role ?? null, nodeText };
}

function alterRole(
  fields: { role?: { rolename?: string; roletype?: string }; options?: Node[]; action?: number },
  context: Context,
): DdlKind {
  const groups = (fields.options ?? []).some(
    (option) => 'DefElem' in option && option.DefElem.defname === 'rolemembers',
  );
  if (groups) return { kind: 'role', name: null, nodeText: context.statement.text };
  const name = fields.role?.roletype === 'ROLESPEC_CSTRING' ? (fields.role.rolename ?? null) : '';
  return { kind: 'role', name, nodeText: '' };
}

interface CreateFunction {
  readonly funcname?: Node[];
  readonly returnType?: { readonly setof?: boolean };
  readonly options?: Node[];
  readonly parameters?: Node[];
}

function createFunction(fields: CreateFunction, context: Context): DdlKind {
  const returnsTable = (fields.parameters ?? []).some(
    (parameter) => 'FunctionParameter' in parameter && parameter.FunctionParameter.mode === 'FUNC_PARAM_TABLE',
  );
  const set = fields.returnType?.setof === true || returnsTable;
  return object(context, { nodeFunction: set ? (nameParts(fields.funcname).at(-1) ?? null) : null });
}

interface CreateSchema {
  readonly schemaname?: string;
  readonly schemaElts?: Node[];
}

/** What else the statement makes (tables, views) is the coordinator's. */
function createSchema(fields: CreateSchema, context: Context): DdlKind {
  if ((fields.schemaElts ?? []).length === 0) return object(context);
  const { schemaElts: _, ...plain } = fields;
  return object(context, { nodeText: deparseChecked({ CreateSchemaStmt: plain } as unknown as Node) });
}

function extension(name: string | undefined, context: Context, tag: string): DdlKind {
  if (name !== 'citus' && name !== 'citus_columnar') return object(context, { scope: everyTable(context) });
  return { kind: 'notice', tag, message: `the SQL surface of extension "${name}" is built in; there is nothing to do` };
}

interface Truncate {
  readonly relations?: Node[];
  readonly behavior?: string;
}

function truncate(fields: Truncate, context: Context): DdlKind {
  const relations = (fields.relations ?? [])
    .map((entry) => relationOf(context, 'RangeVar' in entry ? entry.RangeVar : undefined))
    .filter((relation) => relation !== null);
  const cascade = fields.behavior === 'DROP_CASCADE';
  const concerned = relations.some(isDistributed) || (cascade && everyTable(context).length > 0);
  return concerned ? { kind: 'truncate', relations: relations.map((relation) => relation.oid), cascade } : local;
}

interface Vacuum {
  readonly rels?: Node[];
  readonly is_vacuumcmd?: boolean;
}

function vacuum(fields: Vacuum, context: Context): DdlKind {
  const relations = fields.rels ?? [];
  if (relations.length === 0) return { kind: 'maintenance', nodeText: context.statement.text };
  const kept = relations.filter(
    (entry) => 'VacuumRelation' in entry && isDistributed(relationOf(context, entry.VacuumRelation.relation)),
  );
  if (kept.length === 0) return local;
  const nodeText =
    kept.length === relations.length
      ? context.statement.text
      : deparseChecked({ VacuumStmt: { ...fields, rels: kept } } as unknown as Node);
  return { kind: 'maintenance', nodeText };
}

function maintainRelation(fields: { relation?: RangeVar }, context: Context): DdlKind {
  const relation = relationOf(context, fields.relation);
  const isIndex = relation?.kind === 'index';
  const concerned = isIndex || isDistributed(relation) || fields.relation === undefined;
  return concerned && everyTable(context).length > 0
    ? { kind: 'maintenance', nodeText: context.statement.text }
    : local;
}

/** ANALYZE alone may be in a transaction. */
function needsNoTransaction(kind: string, fields: object): boolean {
  return kind !== 'VacuumStmt' || (fields as Vacuum).is_vacuumcmd === true;
}

function isConcurrent(kind: string, fields: object): boolean {
  if (kind === 'VacuumStmt') return (fields as Vacuum).is_vacuumcmd === true;
  if (kind === 'ReindexStmt') return true;
  return (kind === 'IndexStmt' || kind === 'DropStmt') && (fields as { concurrent?: boolean }).concurrent === true;
}
