import type { Node, RangeVar } from '@pgsql/types';
import { deparseChecked } from '../sql/deparse.ts';
import { nameParts } from '../sql/walk.ts';
import type { DdlKind } from './ddl-action.ts';
import { type Context, changesTables, everyTable, local, localTypes, object, relationTypes } from './ddl-context.ts';

interface CreateRole {
  readonly role?: string;
  readonly options?: Node[];
}

/** Nodes get the verifier that the coordinator made of the password, never the password. */
export function createRole(fields: CreateRole, context: Context): DdlKind {
  const options = (fields.options ?? []).filter(
    (option) => !('DefElem' in option) || option.DefElem.defname !== 'password',
  );
  const withPassword = options.length !== (fields.options ?? []).length;
  const nodeText = withPassword
    ? deparseChecked({ CreateRoleStmt: { ...fields, options } } as unknown as Node)
    : context.statement.text;
  return { kind: 'role', name: fields.role ?? null, nodeText };
}

export function alterRole(
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

export function createFunction(fields: CreateFunction, context: Context): DdlKind {
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
export function createSchema(fields: CreateSchema, context: Context): DdlKind {
  if ((fields.schemaElts ?? []).length === 0) return object(context);
  const { schemaElts: _, ...plain } = fields;
  return object(context, { nodeText: deparseChecked({ CreateSchemaStmt: plain } as unknown as Node) });
}

export function extension(name: string | undefined, context: Context, tag: string): DdlKind {
  if (name === 'pg_stat_statements' && context.snapshot.relations.get('pgherd')?.has(name)) {
    return {
      kind: 'notice',
      tag,
      message: `the statements of all servers are in ${name} already; there is nothing to do`,
    };
  }
  if (name !== 'citus' && name !== 'citus_columnar') return object(context, { scope: everyTable(context) });
  return { kind: 'notice', tag, message: `the SQL surface of extension "${name}" is built in; there is nothing to do` };
}

export interface OfObjectType {
  readonly objectType?: string;
  readonly relation?: RangeVar;
}

export function byObjectType(fields: OfObjectType, context: Context): DdlKind {
  const type = fields.objectType ?? '';
  if (type === 'OBJECT_STATISTIC_EXT') return changesTables(context, everyTable(context), { shellAccess: false });
  return localTypes.has(type) || relationTypes.has(type) ? local : object(context);
}
