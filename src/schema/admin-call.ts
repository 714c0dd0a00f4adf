import type { FuncCall, Node, ResTarget, SelectStmt } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import { deparseChecked, deparseExpression } from '../sql/deparse.ts';
import { parseStatements } from '../sql/parse.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { mapNodes, nameParts, walk } from '../sql/walk.ts';
import { type AdminName, adminSignature, isAdminName } from './admin-signatures.ts';
import { arrayText } from './array-text.ts';

/** One call of an administrative function inside a SELECT. */
export interface AdminInvocation {
  readonly name: AdminName;
  /** SQL per parameter, in the order of the signature: what the user wrote, or the default. May use $n. */
  readonly arguments: readonly string[];
}

/**
 * A SELECT that calls administrative functions. They are carried out first, then `rest` gives the statement with
 * their results in their places, to be run on the coordinator.
 */
export interface AdminCall {
  readonly invocations: readonly AdminInvocation[];
  /** The columns, when the statement is nothing but calls (`SELECT f(…), g(…) AS x`); null: `rest` must be run. */
  readonly columns: readonly string[] | null;
  rest(results: readonly AdminResult[]): string;
}

export interface AdminResult {
  /** One row of one value for a scalar function. */
  readonly rows: readonly (readonly (string | null)[])[];
}

/** Recognises the calls that the router carries out itself; null: not one of them, or in a place where it cannot. Pure. */
export function matchAdminCall(node: Node): AdminCall | null {
  if (!('SelectStmt' in node)) return null;
  const select = node.SelectStmt;
  const calls = topLevelCalls(select);
  if (calls.length === 0) return null;
  const invocations: AdminInvocation[] = [];
  for (const call of calls) {
    const invocation = readInvocation(call);
    if (invocation === null || usesColumns(call)) return null;
    invocations.push(invocation);
  }
  const columns = pureColumns(select);
  // Elsewhere PostgreSQL might evaluate a call never, or more than once.
  const evaluated = columns !== null || calls.every((call) => isReadOnly(call) || isFromItem(select, call));
  if (!evaluated) return null;
  if (columns === null && countParameters(node) > calls.reduce((sum, call) => sum + countParameters(call), 0))
    return null;
  return { invocations, columns, rest: (results) => substitute(node, calls, invocations, results) };
}

/** One row with all arguments of all calls as text; to be run on the coordinator with the client's parameters. */
export function argumentsSql(call: AdminCall): string | null {
  const expressions = call.invocations.flatMap((invocation) => invocation.arguments);
  return expressions.length === 0
    ? null
    : `SELECT ${expressions.map((expression) => `CAST((${expression}) AS text)`).join(', ')}`;
}

/** In the target list, nested in other expressions too, and in FROM; not in subqueries or set operations. */
function topLevelCalls(select: SelectStmt): FuncCall[] {
  if (select.op !== undefined && select.op !== 'SETOP_NONE') return [];
  const calls: FuncCall[] = [];
  const collect = (value: unknown) =>
    walk(value, (kind, fields) => {
      if (kind === 'SubLink' || kind === 'SelectStmt') return false;
      if (kind === 'FuncCall' && adminName(fields) !== null) {
        calls.push(fields);
        return false;
      }
      return undefined;
    });
  collect(select.targetList);
  collect(select.fromClause);
  return calls;
}

function adminName(call: FuncCall): AdminName | null {
  const parts = nameParts(call.funcname);
  const name = parts.at(-1) ?? '';
  const schema = parts.length > 1 ? parts.at(-2) : null;
  return isAdminName(name) && (schema === null || ownSchemas.has(schema ?? '')) ? name : null;
}

const ownSchemas: ReadonlySet<string> = new Set(['pg_catalog', 'pgherd', 'public', 'citus']);

function readInvocation(call: FuncCall): AdminInvocation | null {
  const name = adminName(call)!;
  const { parameters } = adminSignature(name);
  const given = new Map<string, Node>();
  for (const [i, argument] of (call.args ?? []).entries()) {
    const named = 'NamedArgExpr' in argument ? argument.NamedArgExpr : null;
    const parameter = named ? named.name : parameters[i]?.name;
    const value = named ? named.arg : argument;
    if (parameter === undefined || value === undefined || given.has(parameter)) return null;
    if (!parameters.some((candidate) => candidate.name === parameter)) return null;
    given.set(parameter, value);
  }
  const values = parameters.map((parameter) => {
    const value = given.get(parameter.name);
    return value ? deparseExpression(value) : parameter.default;
  });
  return values.every((value) => value !== undefined) ? { name, arguments: values } : null;
}

function isReadOnly(call: FuncCall): boolean {
  return readOnlyNames.has(adminName(call) ?? '');
}

const readOnlyNames: ReadonlySet<string> = new Set<AdminName>([
  'citus_get_active_worker_nodes',
  'master_get_active_worker_nodes',
  'citus_table_size',
  'citus_relation_size',
  'citus_total_relation_size',
  'citus_shard_sizes',
  'citus_version',
  'column_to_column_name',
  'get_shard_id_for_distribution_column',
]);

function isFromItem(select: SelectStmt, call: FuncCall): boolean {
  return (select.fromClause ?? []).some((item) => 'RangeFunction' in item && calledBy(item.RangeFunction) === call);
}

/** The function of `FROM f(…)`; undefined for ROWS FROM with several, WITH ORDINALITY, or a column definition list. */
function calledBy(fields: RangeFunctionFields): FuncCall | undefined {
  const { functions = [], ordinality, coldeflist } = fields;
  const [first] = functions;
  if (functions.length !== 1 || ordinality || coldeflist || !first || !('List' in first)) return undefined;
  const [call] = first.List.items ?? [];
  return call && 'FuncCall' in call ? call.FuncCall : undefined;
}

interface RangeFunctionFields {
  readonly functions?: Node[];
  readonly ordinality?: boolean;
  readonly coldeflist?: Node[];
  readonly alias?: { readonly aliasname?: string; readonly colnames?: Node[] };
}

function usesColumns(call: FuncCall): boolean {
  let found = false;
  walk(call.args, (kind) => {
    found ||= kind === 'ColumnRef';
    return !found;
  });
  return found;
}

function countParameters(value: unknown): number {
  let count = 0;
  walk(value, (kind) => {
    if (kind === 'ParamRef') count++;
    return undefined;
  });
  return count;
}

function pureColumns(select: SelectStmt): string[] | null {
  const { targetList, op: _op, limitOption: _limit, ...more } = select;
  if (Object.keys(more).some((key) => !harmless.has(key))) return null;
  const columns = (targetList ?? []).map((target) => {
    if (!('ResTarget' in target)) return null;
    const { val, name } = target.ResTarget;
    if (!val || !('FuncCall' in val)) return null;
    const called = adminName(val.FuncCall);
    if (called === null || typeof adminSignature(called).returns !== 'string') return null;
    return name ?? called;
  });
  return columns.every((column) => column !== null) ? columns : null;
}

/** Fields that parsers write though nothing is in them. */
const harmless: ReadonlySet<string> = new Set(['groupDistinct', 'all', 'lockingClause']);

/** Replaces the calls, in the order in which topLevelCalls() found them, by their results. */
function substitute(
  node: Node,
  calls: readonly FuncCall[],
  invocations: readonly AdminInvocation[],
  results: readonly AdminResult[],
): string {
  const replaced = mapNodes(node, (kind, fields) => {
    if (kind === 'RangeFunction') return rangeFunction(fields, calls, invocations, results);
    const { target, label } = callOf(kind, fields);
    const at = target ? calls.indexOf(target) : -1;
    if (at < 0) return undefined;
    const val = value(invocations[at]!, results[at]!);
    return kind === 'FuncCall'
      ? val
      : { ResTarget: { ...(fields as ResTarget), name: label ?? invocations[at]!.name, val } };
  });
  return deparseChecked(replaced);
}

/** A call, or a target that is nothing but one: its column keeps the function's name. */
function callOf(
  kind: string,
  fields: FuncCall | ResTarget,
): { target?: FuncCall | undefined; label?: string | undefined } {
  if (kind === 'FuncCall') return { target: fields as FuncCall };
  if (kind !== 'ResTarget') return {};
  const { val, name } = fields as ResTarget;
  return val && 'FuncCall' in val ? { target: val.FuncCall, label: name } : {};
}

function value(invocation: AdminInvocation, result: AdminResult): Node {
  const { returns } = adminSignature(invocation.name);
  // Rows in a target list are records; text shows them alike.
  if (typeof returns !== 'string')
    return parseTarget(`unnest(${literal(arrayText(result.rows.map(recordText)))}::text[])`);
  const text = result.rows[0]?.[0] ?? null;
  return parseTarget(text === null ? `CAST(NULL AS ${returns})` : `CAST(${literal(text)} AS ${returns})`);
}

function rangeFunction(
  fields: RangeFunctionFields,
  calls: readonly FuncCall[],
  invocations: readonly AdminInvocation[],
  results: readonly AdminResult[],
): Node | undefined {
  const call = calledBy(fields);
  const at = call ? calls.indexOf(call) : -1;
  if (at < 0) return undefined;
  const invocation = invocations[at]!;
  const subquery: Node = parse(recordSetSql(invocation, results[at]!));
  const alias = { aliasname: fields.alias?.aliasname ?? invocation.name, colnames: fields.alias?.colnames };
  return { RangeSubselect: { subquery, alias } } as Node;
}

function recordSetSql(invocation: AdminInvocation, result: AdminResult): string {
  const { returns } = adminSignature(invocation.name);
  const columns = typeof returns === 'string' ? [{ name: invocation.name, type: returns }] : returns;
  const rows = result.rows.map((row) => Object.fromEntries(columns.map((column, i) => [column.name, row[i] ?? null])));
  const list = columns.map((column) => `${column.name} ${column.type === 'void' ? 'text' : column.type}`).join(', ');
  return `SELECT * FROM json_to_recordset(${literal(JSON.stringify(rows))}) AS r(${list})`;
}

function parse(sql: string): Node {
  return parseStatements(sql)[0]!.node;
}

function parseTarget(expression: string): Node {
  const node = parse(`SELECT ${expression}`);
  const [target] = 'SelectStmt' in node ? (node.SelectStmt.targetList ?? []) : [];
  assert(target && 'ResTarget' in target && target.ResTarget.val, 'an expression was parsed');
  return target.ResTarget.val;
}

function literal(value: string): string {
  return quoteLiteral(value).trim();
}

/** As record_out writes it. */
function recordText(values: readonly (string | null)[]): string {
  const fields = values.map((value) => {
    if (value === null) return '';
    const plain = value !== '' && !/["\\(),\s]/.test(value);
    return plain ? value : `"${value.replace(/["\\]/g, '$&$&')}"`;
  });
  return `(${fields.join(',')})`;
}
