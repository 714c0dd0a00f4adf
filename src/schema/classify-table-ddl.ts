import type { Node, RangeVar } from '@pgsql/types';
import { type DistributedTable, isKeyed, isOnOneNode, type RelationEntry } from '../catalog/snapshot.ts';
import { deparseChecked } from '../sql/deparse.ts';
import { nameParts, walk } from '../sql/walk.ts';
import { byObjectType, type OfObjectType } from './classify-object-ddl.ts';
import type { DdlKind } from './ddl-action.ts';
import {
  type Context,
  changesTables,
  everyTable,
  isDistributed,
  local,
  object,
  relationNamed,
  relationOf,
  type TablesOptions,
} from './ddl-context.ts';
import { isMaintenanceText } from './guard-sql.ts';

interface CreateTable {
  readonly relation?: RangeVar;
  readonly tableElts?: Node[];
  readonly inhRelations?: Node[];
  readonly if_not_exists?: boolean;
}

export function createTable(fields: CreateTable, context: Context): DdlKind {
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
  return createDistributed(fields, context, like) ?? (like ? { kind: 'create like' } : local);
}

/** A temporary table is its session's own, whatever is said of its rows. */
function createDistributed(
  { relation, if_not_exists: ifNotExists = false }: CreateTable,
  { statement: { dialect } }: Context,
  like: boolean,
): DdlKind | null {
  if (dialect?.kind !== 'distribution' || relation?.relname === undefined || isTemporary(relation)) return null;
  const table = { schema: relation.schemaname ?? null, name: relation.relname };
  return { kind: 'create distributed', table, clause: dialect.clause, ifNotExists, like };
}

/** What is left to do once the table has been made and filled. */
export function createTableAs({ into }: { into?: { rel?: RangeVar } }, { statement: { dialect } }: Context): DdlKind {
  const relation = into?.rel;
  if (dialect?.kind !== 'distribution' || relation?.relname === undefined || isTemporary(relation)) return local;
  const table = { schema: relation.schemaname ?? null, name: relation.relname };
  return { kind: 'distribute created', table, clause: dialect.clause };
}

function isTemporary({ relpersistence, schemaname }: RangeVar): boolean {
  return relpersistence === 't' || schemaname?.startsWith('pg_temp') === true;
}

interface AlterTable {
  readonly relation?: RangeVar;
  readonly objtype?: string;
  readonly cmds?: Node[];
}

export function alterTable(fields: AlterTable, context: Context): DdlKind {
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
  if (!isDistributed(table)) return alterLocal(fields, context, named, commands);
  const refused = commands.find((command) => refusedCommands.has(command.subtype ?? ''));
  if (refused)
    return { kind: 'refuse', code: 'PH031', what: `${refused.subtype!.slice(3)} on distributed table "${table.name}"` };
  if (retypesKey(table.distributed, commands)) return { kind: 'retype key', table: table.oid };
  const foreign = named.find((entry) => entry.distributed?.distribution.kind === 'distributed');
  if (foreign && table.distributed?.distribution.kind === 'reference' && addsKeys(commands)) {
    return changesTables(context, [table.oid], { shellAccess: true, text: withoutCheck(fields), checksKeys: true });
  }
  const cascades = commands.some((command) => command.behavior === 'DROP_CASCADE');
  return changesTables(context, cascades ? everyTable(context) : [table.oid], {
    ...lookingAtRows(context, fields.cmds),
    withoutLoop: [table.oid],
  });
}

function retypesKey(table: DistributedTable | null, commands: readonly AlterCommand[]): boolean {
  const keys = table?.distribution.kind === 'distributed' ? table.distribution.keys.map(({ name }) => name) : [];
  return commands.some(({ subtype, name }) => subtype === 'AT_AlterColumnType' && keys.includes(name ?? ''));
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

/** CREATE TABLE … REFERENCES a distributed table. */
export function namesDistributed({ tableElts }: { tableElts?: Node[] }, context: Context): boolean {
  return mentionedTables(tableElts, context).some((entry) => entry.distributed?.distribution.kind === 'distributed');
}

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

type AlterCommand = { readonly subtype?: string; readonly name?: string; readonly def?: Node };

function isKept({ relation }: AlterTable, name: string | undefined, context: Context): boolean {
  const table = relationOf(context, relation);
  return [...context.snapshot.foreignKeys.values()].some((key) => key.child === table?.oid && key.name === name);
}

function alterLocal(
  fields: AlterTable,
  context: Context,
  named: readonly RelationEntry[],
  commands: readonly AlterCommand[],
): DdlKind {
  const attached = commands.some((command) => refusedCommands.has(command.subtype ?? ''));
  if (attached && named.length > 0)
    return { kind: 'refuse', code: 'PH031', what: `"${named[0]!.name}" as a partition` };
  const validated = commands.find(
    (command) => command.subtype === 'AT_ValidateConstraint' && isKept(fields, command.name, context),
  );
  if (validated) return { kind: 'refuse', code: 'PH056', what: `VALIDATE CONSTRAINT "${validated.name}"` };
  const target = named.find((entry) => entry.distributed?.distribution.kind === 'distributed');
  if (target && addsKeys(commands)) return { kind: 'local keys', text: withoutCheck(fields), checksKeys: true };
  return target ? { kind: 'local keys', text: context.statement.text, checksKeys: false } : local;
}

/** Foreign keys that PostgreSQL would check against the rows it has. */
function addsKeys(commands: readonly AlterCommand[]): boolean {
  return commands.some(
    ({ def }) =>
      def && 'Constraint' in def && def.Constraint.contype === 'CONSTR_FOREIGN' && !def.Constraint.skip_validation,
  );
}

/** ALTER TABLE whose new foreign keys are NOT VALID. */
function withoutCheck(fields: AlterTable): string {
  const cmds = (fields.cmds ?? []).map((node) => {
    const def = 'AlterTableCmd' in node ? node.AlterTableCmd.def : undefined;
    if (!def || !('AlterTableCmd' in node) || !addsKeys([{ def }]) || !('Constraint' in def)) return node;
    const { initially_valid: _, ...constraint } = def.Constraint;
    return { AlterTableCmd: { ...node.AlterTableCmd, def: { Constraint: { ...constraint, skip_validation: true } } } };
  });
  return deparseChecked({ AlterTableStmt: { ...fields, cmds } } as unknown as Node);
}

interface CreateIndex {
  readonly relation?: RangeVar;
  readonly unique?: boolean;
  readonly indexParams?: Node[];
  readonly concurrent?: boolean;
}

export function createIndex(fields: CreateIndex, context: Context): DdlKind {
  const relation = relationOf(context, fields.relation);
  if (!isDistributed(relation)) return local;
  if (!fields.concurrent) return changesTables(context, [relation.oid]);
  const { concurrent: _, ...plain } = fields;
  const text = deparseChecked({ IndexStmt: plain } as unknown as Node);
  if (!needsGlobalIndex(fields, relation)) {
    return {
      kind: 'create index online',
      ...{ oid: relation.oid, plain: text, refusedInBlock: 'CREATE INDEX CONCURRENTLY' },
    };
  }
  return changesTables(context, [relation.oid], { text, shellAccess: !isMaintenanceText(text) });
}

/** A unique index without the distribution column is a table of its own, made in one transaction. */
function needsGlobalIndex({ unique, indexParams = [] }: CreateIndex, { distributed }: RelationEntry): boolean {
  const distribution = distributed?.distribution;
  if (!unique || distribution?.kind !== 'distributed' || isOnOneNode(distribution)) return false;
  if (!isKeyed(distribution)) return true;
  const columns = indexParams.flatMap((each) => ('IndexElem' in each ? [each.IndexElem.name] : []));
  return !distribution.keys.every(({ name }) => columns.includes(name));
}

export function onRelation(
  fields: { relation?: RangeVar; table?: RangeVar; relations?: Node[] },
  context: Context,
): DdlKind {
  const [first] = fields.relations ?? [];
  const name = fields.relation ?? fields.table ?? (first && 'RangeVar' in first ? first.RangeVar : undefined);
  const relation = relationOf(context, name);
  return isDistributed(relation) ? changesTables(context, [relation.oid], { shellAccess: false }) : local;
}

export function createRule(fields: { relation?: RangeVar }, context: Context): DdlKind {
  const relation = relationOf(context, fields.relation);
  if (!isDistributed(relation)) return local;
  return { kind: 'refuse', code: 'PH034', what: `a rule on distributed table "${relation.name}"` };
}

/** Comments of other objects serve those who look at the coordinator. */
export function comment(fields: { objtype?: string; object?: Node }, context: Context): DdlKind {
  const parts = fields.object && 'List' in fields.object ? nameParts(fields.object.List.items) : [];
  const ofTable =
    fields.objtype === 'OBJECT_TABLE' ? parts : fields.objtype === 'OBJECT_COLUMN' ? parts.slice(0, -1) : [];
  const relation = relationNamed(context, ofTable);
  return isDistributed(relation) ? changesTables(context, [relation.oid], { shellAccess: false }) : local;
}

export function setSchema(fields: OfObjectType, context: Context): DdlKind {
  if (fields.objectType !== 'OBJECT_TABLE') return byObjectType(fields, context);
  const relation = relationOf(context, fields.relation);
  return isDistributed(relation) ? changesTables(context, [relation.oid], { shellAccess: false }) : local;
}
