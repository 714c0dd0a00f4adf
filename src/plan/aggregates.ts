import type { FuncCall, Node } from '@pgsql/types';
import { nameParts } from '../sql/walk.ts';
import { containsKey, type Hashed } from './locus.ts';
import { type Block, joinsOf, leavesOf } from './model.ts';
import { bind, columnEntry } from './resolve.ts';
import { type InferredType, inferType, type Scope } from './type-inference.ts';

/** A partial aggregate on the nodes. */
interface Partial {
  readonly expression: Node;
  readonly type: InferredType;
}

/** How an aggregate is computed in two phases. */
export interface SplitAggregate {
  readonly partials: readonly Partial[];
  /** The nodes group by the partials too, which so come once each (count(DISTINCT)). */
  readonly grouped?: true;
  /** The whole, of the partials' columns; of the very type and digits that PostgreSQL gives. */
  combine(columns: readonly Node[]): Node;
}

const bigint: InferredType = { typeOid: 20, typeName: 'bigint', collation: null };
const doublePrecision: InferredType = { typeOid: 701, typeName: 'double precision', collation: null };

/**
 * null: it can't be split, or not exactly. sum(real) accumulates in single precision, so its digits depend on the order; stddev
 * and the like differ in the last digits.
 */
export function splitAggregate(call: FuncCall, block: Block, scope: Scope, locus: Hashed): SplitAggregate | null {
  const name = nameParts(call.funcname).at(-1) ?? '';
  if (call.agg_order || call.agg_within_group || call.func_variadic) return null;
  const [argument, ...more] = call.args ?? [];
  if (more.length > 0) return null;
  if (call.agg_distinct) {
    return keysAddUp(call, block, locus) ? total(call) : distinctValues(call, argument, scope);
  }
  if (name === 'count') return total(call);
  if (!argument) return null;
  const input = inferType(argument, scope);
  const type = inferType({ FuncCall: { ...call } }, scope);
  if (!input || !type) return null;
  switch (name) {
    case 'min':
    case 'max':
      return { partials: [{ expression: { FuncCall: call }, type }], combine: ([column]) => aggregate(name, column!) };
    case 'sum':
      return sum(call, type);
    case 'avg':
      return average(call, argument, { input, type, everyRow: isNeverNull(argument, block) });
    default:
      return null;
  }
}

/** A column that NOT NULL holds for, and that no outer join fills with NULLs. */
function isNeverNull(argument: Node, block: Block): boolean {
  const bound = 'ColumnRef' in argument ? bind(argument.ColumnRef, block) : null;
  if (bound?.item.kind !== 'relation' || bound.item.block !== block || !columnEntry(bound)?.notNull) return false;
  return joinsOf(block.from).every((join) => {
    const filled = [
      ...(join.type === 'left' || join.type === 'full' ? [join.right] : []),
      ...(join.type === 'right' || join.type === 'full' ? [join.left] : []),
    ];
    return !filled.flatMap(leavesOf).includes(bound.item);
  });
}

/** The nodes send each value once, and the whole aggregate is computed of these. */
function distinctValues(call: FuncCall, argument: Node | undefined, scope: Scope): SplitAggregate | null {
  if (!argument || !['count', 'sum', 'avg', 'min', 'max'].includes(nameParts(call.funcname).at(-1) ?? '')) return null;
  const { agg_filter: filter, ...rest } = call;
  const type = inferType(argument, scope);
  if (!type) return null;
  const partials = [
    { expression: argument, type },
    ...(filter ? [{ expression: filter, type: { typeOid: 16, typeName: 'boolean', collation: null } }] : []),
  ];
  return {
    ...{ partials, grouped: true },
    combine: ([column, passed]) => ({
      FuncCall: { ...rest, args: [column!], ...(passed ? { agg_filter: passed } : {}) },
    }),
  };
}

/**
 * count(distinct key) adds up too, since rows of one key are on one node: but only if the nodes' groups are no finer than the whole's,
 * for a key may be in several of those.
 */
function keysAddUp(call: FuncCall, block: Block, locus: Hashed): boolean {
  if (block.kind !== 'select' || (block.node.groupClause ?? []).some((group) => 'GroupingSet' in group)) return false;
  return [call, ...block.functions.filter((each) => each.agg_distinct)].every((each) => countsKeys(each, block, locus));
}

function countsKeys({ funcname, args = [] }: FuncCall, block: Block, locus: Hashed): boolean {
  const [argument] = args;
  if (nameParts(funcname).at(-1) !== 'count' || !argument || args.length > 1) return false;
  return 'ColumnRef' in argument && containsKey([argument.ColumnRef], block, locus);
}

function total(call: FuncCall): SplitAggregate {
  return {
    partials: [{ expression: { FuncCall: call }, type: bigint }],
    combine: ([column]) => {
      const args = [aggregate('sum', column!), { A_Const: { ival: {} } } as Node];
      return cast({ CoalesceExpr: { args } }, 'int8');
    },
  };
}

/** sum() of smallint and integer is bigint, and the sum of bigints is numeric again. */
function sum(call: FuncCall, type: InferredType): SplitAggregate | null {
  if (type.typeName === 'real') return null;
  return {
    partials: [{ expression: { FuncCall: call }, type }],
    combine: ([column]) =>
      type.typeName === 'bigint' ? cast(aggregate('sum', column!), 'int8') : aggregate('sum', column!),
  };
}

/**
 * `everyRow`: each row has a value. numeric_avg divides the sum by the count, both numeric, so dividing the same sum gives the same digits. Floats are summed in
 * double precision.
 */
function average(
  call: FuncCall,
  argument: Node,
  { input, type, everyRow }: { input: InferredType; type: InferredType; everyRow: boolean },
): SplitAggregate {
  const isFloat = type.typeName === 'double precision';
  const sumArgument = input.typeName === 'real' ? cast(argument, 'float8') : argument;
  const sumType: InferredType = isFloat ? doublePrecision : sumTypeOf(input);
  const { args: _, ...rest } = call;
  const of = (name: string, over: Pick<FuncCall, 'args' | 'agg_star'>): Node => ({
    FuncCall: { ...rest, funcname: [{ String: { sval: name } }], ...over },
  });
  return {
    partials: [
      { expression: of('sum', { args: [sumArgument] }), type: sumType },
      // All rows are counted once, however many averages there are.
      { expression: of('count', everyRow ? { agg_star: true } : { args: [argument] }), type: bigint },
    ],
    combine: ([summed, counted]) => {
      const target = isFloat ? 'float8' : 'numeric';
      const divisor: Node = {
        A_Expr: {
          kind: 'AEXPR_NULLIF',
          name: [{ String: { sval: '=' } }],
          lexpr: aggregate('sum', counted!),
          rexpr: { A_Const: { ival: {} } },
        },
      };
      const lexpr = cast(aggregate('sum', summed!), target);
      return { A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: '/' } }], lexpr, rexpr: cast(divisor, target) } };
    },
  };
}

function sumTypeOf(input: InferredType): InferredType {
  const small = input.typeOid === 21 || input.typeOid === 23;
  return small ? bigint : { typeOid: 1700, typeName: 'numeric', collation: null };
}

function aggregate(name: string, argument: Node): Node {
  return { FuncCall: { funcname: [{ String: { sval: name } }], args: [argument], funcformat: 'COERCE_EXPLICIT_CALL' } };
}

function cast(arg: Node, type: string): Node {
  const names: Node[] = [{ String: { sval: 'pg_catalog' } }, { String: { sval: type } }];
  return { TypeCast: { arg, typeName: { names, typemod: -1 } } };
}
