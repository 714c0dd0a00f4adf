import type { A_Expr, FuncCall, Node, SQLValueFunction, TypeCast } from '@pgsql/types';
import type { FunctionTraits } from '../catalog/snapshot.ts';
import { nameParts } from '../sql/walk.ts';
import type { PlanContext } from './context.ts';
import type { Block } from './model.ts';
import { segmentObstacle, segmentReferences } from './segments.ts';
import { catalogFirst } from './shards.ts';

/*
 * Where a function may run. Types and functions are the same on every server, but a node sees other sessions, other OIDs,
 * another clock and other sequences than the coordinator, and a user's function may read tables.
 */

export type Placement =
  /** Same result anywhere. */
  | 'anywhere'
  /** The same for the whole transaction: on nodes, a constant takes its place. */
  | 'constant'
  /** Another value at each call; any server may draw it. */
  | 'volatile'
  | 'coordinator';

export function placementOf(call: FuncCall, context: PlanContext): Placement {
  const names = nameParts(call.funcname);
  const name = names.at(-1) ?? '';
  const overloads = candidates(name, names.length > 1 ? (names.at(-2) ?? null) : null, context);
  const builtin =
    overloads.length > 0 ? overloads.every(({ schema }) => schema === 'pg_catalog') : names[0] === 'pg_catalog';
  if (builtin && catalogFirst(context)) {
    const constant = constantFunctions[name];
    if (constant !== undefined) return (call.args ?? []).every(isLiteral) ? 'constant' : 'coordinator';
    if (nodeVolatile.has(name)) return 'volatile';
    if (name === 'age' && call.args?.length === 1) return 'coordinator';
    if (nodeStable.has(name)) return 'anywhere';
  }
  return overloads.length > 0 && overloads.every(({ volatility }) => volatility === 'immutable')
    ? 'anywhere'
    : 'coordinator';
}

/** The overloads that a name may mean under the session's search_path. */
export function candidates(
  name: string,
  schema: string | null,
  { snapshot, searchPath }: PlanContext,
): FunctionTraits[] {
  const visible = schema === null ? new Set(searchPath) : new Set([schema]);
  return (snapshot.functions.get(name) ?? []).filter((traits) => visible.has(traits.schema));
}

export function isAggregate(call: FuncCall, context: PlanContext): boolean {
  if (call.agg_star || call.agg_distinct || call.agg_filter || call.agg_order || call.agg_within_group)
    return !call.over;
  const names = nameParts(call.funcname);
  const overloads = candidates(names.at(-1) ?? '', names.length > 1 ? (names.at(-2) ?? null) : null, context);
  return !call.over && overloads.some(({ kind }) => kind === 'aggregate');
}

export function mayReturnSet(call: FuncCall, context: PlanContext): boolean {
  const names = nameParts(call.funcname);
  const overloads = candidates(names.at(-1) ?? '', names.length > 1 ? (names.at(-2) ?? null) : null, context);
  return overloads.length === 0 || overloads.some(({ returnsSet }) => returnsSet);
}

function isLiteral(node: Node): boolean {
  if ('TypeCast' in node) return node.TypeCast.arg !== undefined && isLiteral(node.TypeCast.arg);
  return 'A_Const' in node;
}

/** Functions whose value is one for the transaction or the session, with their types. */
export const constantFunctions: Readonly<Record<string, string>> = {
  now: 'timestamp with time zone',
  transaction_timestamp: 'timestamp with time zone',
  statement_timestamp: 'timestamp with time zone',
  current_setting: 'text',
  current_database: 'name',
  current_schema: 'name',
  current_schemas: 'name[]',
  current_query: 'text',
  getpgusername: 'name',
  version: 'text',
  pg_backend_pid: 'integer',
  inet_client_addr: 'inet',
  inet_client_port: 'integer',
  inet_server_addr: 'inet',
  inet_server_port: 'integer',
  txid_current: 'bigint',
  pg_current_xact_id: 'xid8',
};

const nodeVolatile = new Set([
  ...['random', 'random_normal', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'clock_timestamp', 'timeofday', 'pg_sleep'],
]);

/** Stable functions that depend only on settings which the session has on every server alike (TimeZone, DateStyle, …). */
const nodeStable = new Set([
  ...['to_char', 'to_date', 'to_timestamp', 'to_number', 'date_trunc', 'date_part', 'extract', 'timezone', 'age'],
  ...['make_timestamptz', 'date_bin', 'overlaps', 'date_add', 'date_subtract', 'isfinite', 'justify_interval'],
  ...[
    'to_json',
    'to_jsonb',
    'row_to_json',
    'array_to_json',
    'json_build_object',
    'json_build_array',
    'jsonb_build_object',
  ],
  ...['jsonb_build_array', 'json_object', 'json_populate_record', 'jsonb_populate_record', 'json_to_record'],
  ...['jsonb_path_query_tz', 'jsonb_path_exists_tz', 'jsonb_path_match_tz', 'jsonb_path_query_first_tz'],
  ...['concat', 'concat_ws', 'format', 'quote_literal', 'quote_nullable', 'array_to_string', 'string_to_array'],
  ...['to_tsvector', 'to_tsquery', 'plainto_tsquery', 'phraseto_tsquery', 'websearch_to_tsquery', 'ts_headline'],
  ...['generate_series', 'count', 'sum', 'min', 'max', 'avg', 'length', 'lower', 'upper', 'substring', 'position'],
  ...['array_agg', 'string_agg', 'json_agg', 'jsonb_agg', 'json_object_agg', 'jsonb_object_agg', 'json_agg_strict'],
  ...['jsonb_agg_strict', 'convert_from', 'convert_to', 'encode', 'decode', 'text', 'money', 'xpath', 'like_escape'],
]);

const sessionValueTypes: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: 'date',
  SVFOP_CURRENT_TIME: 'time with time zone',
  SVFOP_CURRENT_TIME_N: 'time with time zone',
  SVFOP_CURRENT_TIMESTAMP: 'timestamp with time zone',
  SVFOP_CURRENT_TIMESTAMP_N: 'timestamp with time zone',
  SVFOP_LOCALTIME: 'time without time zone',
  SVFOP_LOCALTIME_N: 'time without time zone',
  SVFOP_LOCALTIMESTAMP: 'timestamp without time zone',
  SVFOP_LOCALTIMESTAMP_N: 'timestamp without time zone',
};

/** The type of CURRENT_DATE, CURRENT_USER and their like. */
export function sessionValueType(node: SQLValueFunction): string {
  return sessionValueTypes[node.op ?? ''] ?? 'name';
}

/** Casts to these look names up, and their values are OIDs of the server that made them. */
const lookupTypes = new Set([
  ...['regclass', 'regproc', 'regprocedure', 'regoper', 'regoperator', 'regtype', 'regrole', 'regnamespace'],
  ...['regconfig', 'regdictionary', 'regcollation', 'regdatabase'],
]);

export function isLookupCast(cast: TypeCast): boolean {
  return lookupTypes.has(nameParts(cast.typeName?.names).at(-1) ?? '');
}

const systemColumns = new Set(['tableoid', 'ctid', 'xmin', 'xmax', 'cmin', 'cmax']);

/** The system columns that a block refers to. */
export function systemColumnsOf(block: Block): string[] {
  const ofSegments = segmentReferences(block);
  return block.columnRefs.flatMap((ref) => {
    if (ofSegments.has(ref)) return [];
    const name = nameParts(ref.fields).at(-1);
    return typeof name === 'string' && systemColumns.has(name) ? [name] : [];
  });
}

/** Why the expressions of these blocks can't be evaluated on one node; null when they can. */
export function nodeObstacle(blocks: readonly Block[], context: PlanContext): string | null {
  for (const block of blocks) {
    for (const call of block.functions) {
      if (placementOf(call, context) === 'coordinator')
        return `${nameParts(call.funcname).at(-1)}() runs on the coordinator`;
    }
    if (block.casts.some(isLookupCast)) return 'OIDs of names differ between servers';
    if (block.operators.some(isForeignOperator)) return "a user's operator runs on the coordinator";
    const segments = segmentObstacle(block);
    if (segments) return segments;
    if (systemColumnsOf(block).includes('tableoid')) return 'tableoid is that of the table on the coordinator';
  }
  return null;
}

/** Why the expressions can't be evaluated on several nodes at once. */
export function spreadObstacle(blocks: readonly Block[], context: PlanContext): string | null {
  const obstacle = nodeObstacle(blocks, context);
  if (obstacle) return obstacle;
  const calls = blocks.flatMap((block) => block.functions);
  const call = calls.find((each) => placementOf(each, context) === 'volatile');
  if (call) return `${nameParts(call.funcname).at(-1)}() is volatile`;
  return blocks.some((block) => systemColumnsOf(block).length > 0)
    ? 'row addresses mean something on one node only'
    : null;
}

export function isForeignOperator(expression: A_Expr): boolean {
  const names = nameParts(expression.name);
  return names.length > 1 && names[0] !== 'pg_catalog';
}
