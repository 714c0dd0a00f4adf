import type { ColumnRef, FuncCall, Node } from '@pgsql/types';
import { nameParts } from '../sql/walk.ts';
import { type PlanContext, parameterOf } from './context.ts';
import { candidates } from './functions.ts';
import type { Block, QueryItem } from './model.ts';
import { type Bound, bind, columnEntry, outputColumns } from './resolve.ts';
import { segmentReference } from './segments.ts';
import { baseTypeName, castName } from './type-name.ts';

/**
 * The types of expressions, as far as they are certain; null for all others, which then go down a rung. Only what PostgreSQL
 * has built in is known here, under the rules of the manual's chapter 10.
 */
export interface InferredType {
  readonly typeOid: number;
  /** With its modifier where the expression is a plain column. */
  readonly typeName: string;
  readonly collation: string | null;
}

export interface Scope {
  readonly context: PlanContext;
  bind(ref: ColumnRef): Bound | null;
}

const oids: Readonly<Record<string, number>> = {
  boolean: 16,
  bigint: 20,
  smallint: 21,
  integer: 23,
  text: 25,
  real: 700,
  'double precision': 701,
  bpchar: 1042,
  'character varying': 1043,
  date: 1082,
  'time without time zone': 1083,
  'timestamp without time zone': 1114,
  'timestamp with time zone': 1184,
  interval: 1186,
  numeric: 1700,
  uuid: 2950,
};
const namesByOid = new Map(Object.entries(oids).map(([name, oid]) => [oid, name]));

/** The parser's names of built-in types. */
const parserNames: Readonly<Record<string, string>> = {
  bool: 'boolean',
  int8: 'bigint',
  int2: 'smallint',
  int4: 'integer',
  text: 'text',
  float4: 'real',
  float8: 'double precision',
  varchar: 'character varying',
  date: 'date',
  time: 'time without time zone',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  interval: 'interval',
  numeric: 'numeric',
  uuid: 'uuid',
};

function known(name: string): InferredType | null {
  const typeOid = oids[name];
  return typeOid === undefined ? null : { typeOid, typeName: name, collation: null };
}

export function inferType(node: Node, scope: Scope): InferredType | null {
  if ('ColumnRef' in node) return columnType(node.ColumnRef, scope);
  if ('A_Const' in node) return constantType(node);
  if ('ParamRef' in node) {
    const parameter = parameterOf(node.ParamRef.number ?? 0, scope.context);
    return parameter
      ? { typeOid: parameter.typeOid, typeName: castName(parameter.typeOid, parameter.typeName), collation: null }
      : null;
  }
  if ('TypeCast' in node) return castType(node);
  if ('FuncCall' in node) return callType(node.FuncCall, scope);
  if ('A_Expr' in node) return operatorType(node, scope);
  if ('CaseExpr' in node) {
    const results = (node.CaseExpr.args ?? []).map((arg) => ('CaseWhen' in arg ? arg.CaseWhen.result : undefined));
    return commonType([...results, node.CaseExpr.defresult], scope);
  }
  if ('CoalesceExpr' in node) return commonType(node.CoalesceExpr.args ?? [], scope);
  if ('BoolExpr' in node || 'NullTest' in node || 'BooleanTest' in node) return known('boolean');
  return null;
}

function columnType(ref: ColumnRef, scope: Scope): InferredType | null {
  const bound = scope.bind(ref);
  if (bound?.item.kind === 'query') {
    const { block } = bound.item;
    const output = outputExpression(bound.item, bound.column);
    return output ? inferType(output, { context: scope.context, bind: (each) => bind(each, block) }) : null;
  }
  const column = bound ? columnEntry(bound) : null;
  if (!column) return null;
  return { typeOid: column.typeOid, typeName: castName(column.typeOid, column.typeName), collation: column.collation };
}

/** What a column of a subquery in FROM stands for; also under an alias's own names. */
function outputExpression(item: QueryItem, name: string): Node | null {
  const { block } = item;
  const { targetList = [] } = block.kind === 'select' ? block.node : {};
  const outputs = outputColumns(item);
  if (outputs?.length !== targetList.length) return null;
  const target = targetList[outputs.findIndex((output) => output.name === name)];
  return (target && 'ResTarget' in target ? target.ResTarget.val : undefined) ?? null;
}

function constantType(
  node: Node & { A_Const: { ival?: unknown; fval?: { fval?: string }; boolval?: unknown } },
): InferredType | null {
  const { ival, fval, boolval } = node.A_Const;
  if (ival) return known('integer');
  if (boolval) return known('boolean');
  if (!fval) return null;
  const text = fval.fval ?? '';
  const isBigint = /^[+-]?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text);
  return known(isBigint ? 'bigint' : 'numeric');
}

function castType(
  node: Node & { TypeCast: { typeName?: { names?: Node[]; typmods?: Node[]; arrayBounds?: Node[] } } },
): InferredType | null {
  const { names, typmods, arrayBounds } = node.TypeCast.typeName ?? {};
  const parts = nameParts(names);
  const isBuiltin = parts.length === 1 || (parts.length === 2 && parts[0] === 'pg_catalog');
  if (!isBuiltin || arrayBounds) return null;
  const type = known(parserNames[parts.at(-1) ?? ''] ?? '');
  if (!typmods || !type) return type;
  const modifiers = typmods.map((each) =>
    'A_Const' in each && each.A_Const.ival ? String(each.A_Const.ival.ival ?? 0) : null,
  );
  const takesModifier = type.typeName === 'numeric' || type.typeName === 'character varying';
  return takesModifier && !modifiers.includes(null)
    ? { ...type, typeName: `${type.typeName}(${modifiers.join(',')})` }
    : null;
}

const numericRank = ['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision'];
const stringNames = new Set(['text', 'character varying', 'bpchar']);

function baseName(type: InferredType): string {
  return namesByOid.get(type.typeOid) ?? '';
}

/** Also of a literal whose type the other operand decides. */
function isUntyped(node: Node): boolean {
  return 'A_Const' in node && (node.A_Const.sval !== undefined || node.A_Const.isnull === true);
}

function operatorType(
  node: Node & { A_Expr: { kind?: string; name?: Node[]; lexpr?: Node; rexpr?: Node } },
  scope: Scope,
): InferredType | null {
  const { kind, name, lexpr, rexpr } = node.A_Expr;
  if (kind === 'AEXPR_NULLIF') return null;
  if (kind !== 'AEXPR_OP') return known('boolean');
  const names = nameParts(name);
  const operator = names.at(-1) ?? '';
  if (names.length > 1 && names[0] !== 'pg_catalog') return null;
  if (['=', '<>', '<', '<=', '>', '>='].includes(operator)) return known('boolean');
  if (!rexpr) return null;
  const right = inferType(rexpr, scope);
  if (!lexpr) return right && operator === '-' && numericRank.includes(baseName(right)) ? known(baseName(right)) : null;
  const left = inferType(lexpr, scope);
  if (!left || !right || isUntyped(lexpr) || isUntyped(rexpr))
    return operator === '||' ? concatenation(left, right, lexpr, rexpr) : null;
  const [a, b] = [baseName(left), baseName(right)];
  if ('+-*/'.includes(operator) && numericRank.includes(a) && numericRank.includes(b)) return arithmetic(a, b);
  if (
    operator === '%' &&
    numericRank.indexOf(a) <= 3 &&
    numericRank.indexOf(b) <= 3 &&
    numericRank.includes(a) &&
    numericRank.includes(b)
  ) {
    return arithmetic(a, b);
  }
  if (operator === '-' && a === 'date' && b === 'date') return known('integer');
  return operator === '||' ? concatenation(left, right, lexpr, rexpr) : null;
}

/** text || anything literal, and strings among each other. Arrays and jsonb have operators of their own. */
function concatenation(left: InferredType | null, right: InferredType | null, l: Node, r: Node): InferredType | null {
  const isString = (type: InferredType | null, node: Node) =>
    type ? stringNames.has(baseName(type)) && type.collation === null : isUntyped(node);
  return (left || right) && isString(left, l) && isString(right, r) ? known('text') : null;
}

/** Two integers give the wider one; with numeric, numeric; with a float, double precision (but real with real). */
function arithmetic(a: string, b: string): InferredType | null {
  const [low, high] = [a, b].sort((x, y) => numericRank.indexOf(x) - numericRank.indexOf(y)) as [string, string];
  if (high === 'double precision') return known('double precision');
  if (high === 'real') return known(low === 'real' ? 'real' : 'double precision');
  return known(high);
}

/** CASE and COALESCE: one type, literals taking it; or numbers of several. */
function commonType(nodes: readonly (Node | undefined)[], scope: Scope): InferredType | null {
  const typed = nodes.filter((node) => node !== undefined && !isUntyped(node)) as Node[];
  const types = typed.map((node) => inferType(node, scope));
  const [first] = types;
  if (!first || types.includes(null)) return null;
  const all = types as InferredType[];
  if (all.some(({ collation }) => collation !== null)) return null;
  const names = all.map(baseName);
  if (names.includes('')) return null;
  if (names.every((name) => name === names[0])) return known(names[0]!);
  if (!names.every((name) => numericRank.includes(name))) return null;
  return known(names.sort((a, b) => numericRank.indexOf(b) - numericRank.indexOf(a))[0]!);
}

const sumTypes: Readonly<Record<string, string>> = {
  smallint: 'bigint',
  integer: 'bigint',
  bigint: 'numeric',
  numeric: 'numeric',
  real: 'real',
  'double precision': 'double precision',
};
const averageTypes: Readonly<Record<string, string>> = {
  ...{ smallint: 'numeric', integer: 'numeric', bigint: 'numeric', numeric: 'numeric' },
  ...{ real: 'double precision', 'double precision': 'double precision' },
};
const textFunctions = new Set([
  'lower',
  'upper',
  'substring',
  'substr',
  'btrim',
  'ltrim',
  'rtrim',
  'replace',
  'left',
  'right',
  'concat',
]);

function callType(call: FuncCall, scope: Scope): InferredType | null {
  const names = nameParts(call.funcname);
  const name = names.at(-1) ?? '';
  const overloads = candidates(name, names.length > 1 ? (names.at(-2) ?? null) : null, scope.context);
  if (segmentReference(call)) return known('integer');
  if (overloads.some(({ schema }) => schema !== 'pg_catalog')) return null;
  const [first, second] = call.args ?? [];
  if (name === 'count') return known('bigint');
  const type = first && !isUntyped(first) ? inferType(first, scope) : null;
  if (name === 'extract') return known('numeric');
  if (name === 'date_part') return known('double precision');
  if (textFunctions.has(name))
    return type && stringNames.has(baseName(type)) && type.collation === null ? known('text') : null;
  if (name === 'date_trunc') {
    const of = second && call.args?.length === 2 && !isUntyped(second) ? inferType(second, scope) : null;
    const base = of ? baseName(of) : '';
    return base === 'date'
      ? known('timestamp with time zone')
      : base.startsWith('timestamp') || base === 'interval'
        ? known(base)
        : null;
  }
  if (!type) return null;
  switch (name) {
    case 'sum':
      return known(sumTypes[baseName(type)] ?? '');
    case 'avg':
      return known(averageTypes[baseName(type)] ?? '');
    case 'min':
    case 'max':
      // Of varchar they are of text; no modifier is kept.
      return baseName(type) === 'character varying'
        ? { ...type, typeOid: 25, typeName: 'text' }
        : withoutModifier(type);
    case 'abs':
      return numericRank.includes(baseName(type)) ? known(baseName(type)) : null;
    case 'length':
      return stringNames.has(baseName(type)) ? known('integer') : null;
    case 'round':
      return baseName(type) === 'numeric' ||
        (['smallint', 'integer', 'bigint'].includes(baseName(type)) && call.args?.length === 2)
        ? known('numeric')
        : null;
    default:
      return null;
  }
}

function withoutModifier(type: InferredType): InferredType | null {
  const name = baseName(type);
  return name === ''
    ? null
    : { ...type, typeName: baseTypeName({ typeOid: type.typeOid, typmod: -1, typeName: name }) };
}

/** The type of the one column that a subquery yields. */
export function outputTypeName(block: Block, context: PlanContext): string | null {
  if (block.kind !== 'select' || block.node.targetList?.length !== 1) return null;
  const [target] = block.node.targetList;
  const value = target && 'ResTarget' in target ? target.ResTarget.val : undefined;
  const type = value ? inferType(value, { context, bind: (ref) => bind(ref, block) }) : null;
  // A collation other than the type's would be lost in a literal.
  return type?.collation === null ? type.typeName : null;
}
