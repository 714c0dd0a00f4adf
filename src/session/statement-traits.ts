import type { FuncCall, Node, ParamRef } from '@pgsql/types';
import { constantText } from '../sql/constant.ts';
import { namesTemporarySchema } from '../sql/temporary-names.ts';

/** What a statement means for the session beyond its own answer: read off the syntax tree once, kept with the cached statement. */
export interface StatementTraits {
  /** Leaves state on its connection that the session must find again: a session-level advisory lock, a WITH HOLD cursor … */
  readonly pinsConnection: boolean;
  /** Sequences named in nextval and setval calls, as written; null stands for a computed name. */
  readonly movedSequences: readonly (string | null)[];
  /** Calls currval or lastval. */
  readonly readsSequences: boolean;
  /** Calls of set_config() with a constant name, and whether they hold until the end of the transaction only. */
  readonly setConfigCalls: readonly { readonly name: string; readonly local: boolean }[];
  /** Calls something that may write: any function but those known to only read. */
  readonly mayWrite: boolean;
  /** Functions that it calls, without their schemas. */
  readonly calls: readonly string[];
  /** Creates temporary objects. */
  readonly createsTemporary: boolean;
  /** `$1` and the like, in the order of the tree. `location`: bytes in the source. */
  readonly parameters: readonly { readonly number: number; readonly location: number }[];
}

const pinningFunctions = new Set([
  'pg_advisory_lock',
  'pg_advisory_lock_shared',
  'pg_try_advisory_lock',
  'pg_try_advisory_lock_shared',
  'setseed',
  'lo_open',
  'dblink_connect',
]);

export function readTraits(node: Node): StatementTraits {
  let pinsConnection = false;
  const movedSequences: (string | null)[] = [];
  let readsSequences = false;
  const setConfigCalls: { name: string; local: boolean }[] = [];
  let mayWrite = false;
  const calls: string[] = [];
  let createsTemporary = false;
  const parameters: { number: number; location: number }[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const element of value) visit(element);
      return;
    }
    if (value === null || typeof value !== 'object') return;
    for (const [key, child] of Object.entries(value)) {
      // CALL has it under a key of its own.
      if (key === 'FuncCall' || key === 'funccall') {
        const names = (child as { funcname?: { String?: { sval?: string } }[] }).funcname ?? [];
        const name = names.at(-1)?.String?.sval ?? '';
        calls.push(name);
        if (pinningFunctions.has(name)) pinsConnection = true;
        if (name === 'nextval' || name === 'setval') movedSequences.push(constantText((child as FuncCall).args?.[0]));
        if (name === 'currval' || name === 'lastval') readsSequences = true;
        if (name === 'set_config') setConfigCalls.push(readSetConfig(child));
        if (!readOnlyFunctions.has(name)) mayWrite = true;
      } else if (writingNodes.has(key)) mayWrite = true;
      else if (key === 'ParamRef') {
        const { number = 0, location = 0 } = child as ParamRef;
        parameters.push({ number, location });
      } else if (key === 'relpersistence' && child === 't') createsTemporary = true;
      else if (key === 'DeclareCursorStmt' && ((child as { options?: number }).options ?? 0) & cursorHold) {
        pinsConnection = true;
      }
      if (typeof child === 'object') visit(child);
    }
  };
  visit(node);
  if (mayCreate(node) && namesTemporarySchema(node)) createsTemporary = true;
  return {
    pinsConnection,
    movedSequences,
    readsSequences,
    setConfigCalls,
    mayWrite,
    calls,
    createsTemporary,
    parameters,
  };
}

function mayCreate(node: Node): boolean {
  if ('SelectStmt' in node) return node.SelectStmt.intoClause !== undefined;
  return /^(Create|View|Define|CompositeType)/.test(Object.keys(node)[0] ?? '');
}

/** CURSOR_OPT_HOLD of parsenodes.h. */
const cursorHold = 0x0020;

/** DECLARE … WITH HOLD. */
export function isHoldable(node: Node): boolean {
  return 'DeclareCursorStmt' in node && ((node.DeclareCursorStmt.options ?? 0) & cursorHold) !== 0;
}

/** Nodes inside a SELECT that write or lock rows. */
const writingNodes = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'intoClause', 'LockingClause']);

/** Functions often met that surely write nothing; a SELECT of anything else makes the coordinator a writer, which costs little. */
const readOnlyFunctions = new Set(
  `count sum min max avg now version current_database current_schema current_schemas current_user pg_backend_pid
   coalesce lower upper length abs round floor ceil concat format to_char to_date to_timestamp date_trunc date_part extract
   substring substr trim btrim ltrim rtrim replace split_part array_agg string_agg json_agg jsonb_agg json_build_object
   jsonb_build_object row_to_json to_json to_jsonb unnest generate_series row_number rank dense_rank lag lead first_value
   last_value ntile array_length cardinality array_to_string pg_get_expr pg_get_indexdef pg_get_constraintdef
   pg_get_viewdef pg_table_is_visible format_type obj_description col_description pg_get_userbyid current_setting
   has_table_privilege quote_ident pg_relation_size pg_total_relation_size pg_size_pretty set_config`.split(/\s+/),
);

function readSetConfig(call: unknown): { name: string; local: boolean } {
  const { args = [] } = call as { args?: unknown[] };
  const text = args[0] as { A_Const?: { sval?: { sval?: string } } } | undefined;
  const flag = args[2] as { A_Const?: { boolval?: { boolval?: boolean }; sval?: { sval?: string } } } | undefined;
  const isTrue = flag?.A_Const?.boolval?.boolval === true || flag?.A_Const?.sval?.sval?.startsWith('t') === true;
  return { name: (text?.A_Const?.sval?.sval ?? '').toLowerCase(), local: isTrue };
}
