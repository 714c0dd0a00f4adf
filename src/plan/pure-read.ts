import type { A_Expr, ColumnRef, FuncCall, SelectStmt, SortBy, SubLink, TypeName } from '@pgsql/types';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { RawStatement } from '../sql/parse.ts';
import { nameParts, unwrap, walk } from '../sql/walk.ts';
import { analyze } from './analyze.ts';
import type { PlanContext } from './context.ts';
import { candidates, placementOf } from './functions.ts';
import { catalogFirst } from './shards.ts';

/**
 * Whether a query does nothing but read tables, by what PostgreSQL itself brings along: it takes no row locks, leaves nothing behind on its
 * connection, and calls no code of a user's. It may be sent twice, and nobody notices. Whatever is not known to be so is not.
 */
export function isPureRead(statement: RawStatement, context: PlanContext): boolean {
  if (unwrap(statement.node).kind !== 'SelectStmt' || !catalogFirst(context) || mayHide(context.snapshot)) return false;
  if (context.parameters?.some(({ typeOid }) => typeOid >= firstUserOid)) return false;
  const { relations, views } = analyze(statement.node, statement, context);
  const isPlain = relations.every(
    ({ role, table, lock, sample }) =>
      (role === 'distributed' || role === 'reference') &&
      table?.hasRowSecurity === false &&
      lock === null &&
      sample === null,
  );
  return isPlain && views.length === 0 && hasOnlyKnownNodes(statement, context);
}

/** FirstNormalObjectId: what has a lower one came with the server. */
const firstUserOid = 16_384;

/** A user's code may be called where the text shows nothing of it. */
function mayHide({ userCode }: CatalogSnapshot): boolean {
  return userCode === undefined || userCode.hasCasts || implied.some((name) => userCode.operators.has(name));
}

/** BETWEEN, CASE, USING and their like compare without saying so. */
const implied = ['=', '<>', '<', '<=', '>', '>='];

function hasOnlyKnownNodes({ node }: RawStatement, context: PlanContext): boolean {
  let known = true;
  walk([node], (kind, fields) => {
    known &&= knownKinds.has(kind) && isOwn(kind, fields, context);
    return known;
  });
  return known && !hasUnknownTypes(node);
}

/** What is named there is PostgreSQL's own. */
function isOwn(kind: string, fields: unknown, context: PlanContext): boolean {
  switch (kind) {
    case 'SelectStmt':
      return (fields as SelectStmt).intoClause === undefined;
    case 'FuncCall':
      return isOwnFunction(fields as FuncCall, context);
    case 'A_Expr':
      return isOwnOperator((fields as A_Expr).name, context);
    case 'SubLink': {
      const { operName } = fields as SubLink;
      return operName === undefined || isOwnOperator(operName, context);
    }
    case 'SortBy':
      return (fields as SortBy).useOp === undefined;
    case 'ColumnRef':
      return !isRowFunction(fields as ColumnRef, context);
    default:
      return true;
  }
}

function isOwnOperator(name: A_Expr['name'], { snapshot }: PlanContext): boolean {
  const names = nameParts(name);
  return names.length === 1 && snapshot.userCode?.operators.has(names[0] ?? '') === false;
}

function isOwnFunction(call: FuncCall, context: PlanContext): boolean {
  const names = nameParts(call.funcname);
  const overloads = candidates(names.at(-1) ?? '', names.length > 1 ? (names.at(-2) ?? null) : null, context);
  return (
    overloads.length > 0 &&
    overloads.every(({ userDefined, volatility }) => !userDefined && volatility !== 'volatile') &&
    placementOf(call, context) === 'anywhere'
  );
}

/** `t.f` may be a call: f(t). */
function isRowFunction({ fields }: ColumnRef, { snapshot }: PlanContext): boolean {
  const names = nameParts(fields);
  if (names.length < 2) return false;
  return snapshot.functions.get(names.at(-1) ?? '')?.some(({ userDefined }) => userDefined) ?? false;
}

/** A type's name stands in its field without a kind around it. A user's domain may check by a function. */
function hasUnknownTypes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some(hasUnknownTypes);
  return Object.entries(value).some(([key, child]) => {
    if (key !== 'typeName' && key !== 'TypeName') return hasUnknownTypes(child);
    const names = nameParts((child as TypeName).names);
    return !ownTypes.has(names.at(-1) ?? '') || (names.length > 1 && names[0] !== 'pg_catalog');
  });
}

const knownKinds: ReadonlySet<string> = new Set([
  ...['SelectStmt', 'ResTarget', 'RangeVar', 'RangeSubselect', 'JoinExpr', 'Alias', 'ColumnRef', 'A_Star', 'ParamRef'],
  ...['A_Const', 'String', 'Integer', 'Float', 'Boolean', 'BitString', 'A_Expr', 'BoolExpr', 'NullTest', 'BooleanTest'],
  ...['CaseExpr', 'CaseWhen', 'CoalesceExpr', 'MinMaxExpr', 'TypeCast', 'SortBy', 'FuncCall', 'A_ArrayExpr', 'List'],
  ...['SubLink', 'RowExpr', 'WindowDef'],
]);

/** As the grammar calls them. */
const ownTypes: ReadonlySet<string> = new Set([
  ...['int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'bool', 'text', 'varchar', 'bpchar', 'char', 'name'],
  ...[
    'date',
    'time',
    'timetz',
    'timestamp',
    'timestamptz',
    'interval',
    'uuid',
    'bytea',
    'json',
    'jsonb',
    'inet',
    'cidr',
  ],
]);
