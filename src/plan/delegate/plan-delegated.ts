import type { CallStmt, FuncCall, Node } from '@pgsql/types';
import { delegateSchema } from '../../catalog/delegate-sql.ts';
import type { Delegation } from '../../catalog/delegation.ts';
import { unsupported } from '../../core/errors.ts';
import type { RawStatement } from '../../sql/parse.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/quote.ts';
import { positionOf } from '../../sql/source.ts';
import { nameParts } from '../../sql/walk.ts';
import { analyze } from '../analyze.ts';
import type { PlanContext } from '../context.ts';
import { callExtent, type PlanEdit, tokenAt } from '../edits.ts';
import { candidates, nodeObstacle } from '../functions.ts';
import { sourceOf } from '../key-sources.ts';
import { comparedValue } from '../key-value.ts';
import type { Model } from '../model.ts';
import type { Plan } from '../plan.ts';
import { createConstantPool, rewriteStatement } from '../rewrite.ts';
import { lookUp } from '../shards.ts';
import type { Obstacle } from './body.ts';
import { type DelegationProof, proveDelegation } from './prove.ts';
import type { PlanStatement } from './prove-statement.ts';

/** A statement that may be the call of a function with a distribution argument, and nothing besides. */
interface Call {
  readonly model: Model;
  readonly call: FuncCall;
  readonly delegation: Delegation;
  /** It has no name of its own that its columns would keep. */
  readonly needsName: boolean;
  readonly isProcedure: boolean;
}

/** The plan by which the node of the argument runs it; why not; null: no such function is called. */
export function planDelegated(
  statement: RawStatement,
  context: PlanContext,
  planStatement: PlanStatement,
): Plan | Obstacle | null {
  const { snapshot } = context;
  if (snapshot.delegations.size === 0) return null;
  const found = findCall(statement, context);
  if (found === null || 'obstacle' in found) return found;
  const { delegation } = found;
  const proof = proveDelegation(delegation, context, planStatement);
  if ('obstacle' in proof) {
    if (delegation.force)
      throw unsupported('PH058', `${delegation.name}() can't be delegated to a node: ${proof.obstacle}`);
    return proof;
  }
  const obstacle = callObstacle(found, proof, context);
  return obstacle === null ? planCall(found, proof, context) : { obstacle };
}

function findCall({ node, ...statement }: RawStatement, context: PlanContext): Call | Obstacle | null {
  const isProcedure = 'CallStmt' in node;
  const query = isProcedure ? selectOf(node.CallStmt) : node;
  const model = analyze(query, { node: query, ...statement }, context);
  const calls = model.blocks.flatMap(({ functions }) => functions);
  const call = calls.find(({ funcname }) => context.snapshot.delegations.has(nameParts(funcname).at(-1) ?? ''));
  if (call === undefined) return null;
  const [schema, name] = [nameParts(call.funcname).at(-2) ?? null, nameParts(call.funcname).at(-1) ?? ''];
  const overloads = candidates(name, schema, context);
  const delegation = context.snapshot.delegations.get(name)?.find((each) => each.schema === overloads[0]?.schema);
  if (delegation === undefined) return null;
  if (overloads.length > 1) return { obstacle: 'there are several functions of that name' };
  if (context.temporaryNames.size > 0)
    return { obstacle: 'the session has temporary relations, which its names might mean' };
  if (context.force !== null) return { obstacle: 'pgherd.force_rung is set' };
  const place = isProcedure ? { needsName: false } : placeOf(model, call);
  if (place === null) return { obstacle: 'the call stands in a larger query' };
  return { model, call, delegation, isProcedure, ...place };
}

/** The call as an expression, for what it is made of to be found. */
function selectOf({ funccall }: CallStmt): Node {
  return { SelectStmt: { targetList: [{ ResTarget: { val: { FuncCall: funccall ?? {} } } }] } };
}

/** `SELECT f(…)`, or `SELECT … FROM f(…)`; null: something else. */
function placeOf({ root, blocks }: Model, call: FuncCall): { readonly needsName: boolean } | null {
  if (root.kind !== 'select' || blocks.length !== 1 || root.node.intoClause || root.node.lockingClause) return null;
  const { targetList = [], fromClause = [] } = root.node;
  const [target, ...others] = targetList;
  const [from, ...more] = fromClause;
  if (from === undefined) {
    const isAll = others.length === 0 && target && 'ResTarget' in target && target.ResTarget.val;
    const called = isAll && 'FuncCall' in isAll ? isAll.FuncCall : null;
    return called === call
      ? { needsName: (target as { ResTarget: { name?: string } }).ResTarget.name === undefined }
      : null;
  }
  if (more.length > 0 || !('RangeFunction' in from)) return null;
  const { functions = [], alias, coldeflist, ordinality, is_rowsfrom } = from.RangeFunction;
  const [item] = functions;
  const [called] = item && 'List' in item ? (item.List.items ?? []) : [];
  const isCall = functions.length === 1 && called && 'FuncCall' in called && called.FuncCall === call;
  if (!isCall || ordinality || is_rowsfrom || (coldeflist && !alias)) return null;
  return { needsName: alias === undefined };
}

function callObstacle({ model, call, delegation }: Call, proof: DelegationProof, context: PlanContext): string | null {
  const { agg_star, agg_distinct, agg_filter, agg_order, agg_within_group, over, func_variadic } = call;
  if (agg_star || agg_distinct || agg_filter || agg_order || agg_within_group || over || func_variadic)
    return 'it is not called as a plain function';
  if (delegation.copy === null) return 'what nodes have is another version of it';
  if (proof.usesClock && context.inTransaction) return "its time is the transaction's, which the coordinator tells";
  const own = model.blocks.map((block) => ({ ...block, functions: block.functions.filter((each) => each !== call) }));
  return nodeObstacle(own, context);
}

function planCall({ model, ...found }: Call, { home, writes }: DelegationProof, context: PlanContext): Plan | Obstacle {
  const { call, delegation, needsName, isProcedure } = found;
  const node = argumentOf(call, delegation);
  if (node === null) return { obstacle: 'arguments are left to their defaults' };
  const compared = comparedValue(node, home.key.typeOid, context);
  if (!compared?.value)
    return { obstacle: 'its distribution argument is no constant or parameter that the router can read' };
  const distribution = home.table.distributed?.distribution;
  const shards = distribution?.kind === 'distributed' ? lookUp(distribution, [[compared.value]]) : null;
  const slot = home.group.shards.find(({ index }) => shards?.has(index));
  if (slot === undefined) return { obstacle: 'no shard takes its distribution argument' };
  const constants = context.inTransaction ? createConstantPool() : null;
  // Its name is written below.
  const named = {
    ...model,
    blocks: model.blocks.map((block) => (isProcedure || isInList(model) ? { ...block, targets: [] } : block)),
  };
  const sql = rewriteStatement({
    ...{ model: named, context, constants, replace: () => null },
    edits: callEdits(model, call, { copy: delegation.copy ?? '', name: needsName ? delegation.name : null }).map(
      (edit) => ({ source: model.source, edit }),
    ),
  });
  const source = sourceOf(node, compared.value);
  return {
    rung: 'delegated',
    reason: `${delegation.name}() stays on the node of shard ${slot.index} of co-location group ${home.group.id}, where its argument's rows are`,
    ...{ constants: constants?.list ?? [], motions: [] },
    final: { kind: 'pass', site: slot.nodeId, sql },
    ...{ writes, returnsRows: !isProcedure, valueIndependent: !compared.fromParameter },
    touches: [{ relation: home.table.oid, shards: [slot.index] }],
    // The copy is in another schema: whether the caller may look into the procedure's own, the coordinator says.
    ...(isProcedure ? { describedFirst: true as const } : {}),
    ...(source === null ? {} : { delegatedBy: { group: home.group, columns: [home.key], sources: [source] } }),
  };
}

function isInList({ root }: Model): boolean {
  return root.kind === 'select' && (root.node.fromClause ?? []).length === 0;
}

/** By its name, or by its place among those that are written: what only comes out of a procedure is, too. Null: some are left out. */
function argumentOf({ args = [] }: FuncCall, { kind, parameters, distributionParameter }: Delegation): Node | null {
  const parameter = parameters[distributionParameter]!;
  const written = kind === 'procedure' ? parameters : parameters.filter(({ goesIn }) => goesIn);
  if (args.length !== written.length) return null;
  const place = written.indexOf(parameter);
  const named = args.find((each) => 'NamedArgExpr' in each && each.NamedArgExpr.name === parameter.name);
  if (named && 'NamedArgExpr' in named) return named.NamedArgExpr.arg ?? null;
  const found = args[place];
  return found && !('NamedArgExpr' in found) ? found : null;
}

function callEdits(
  { source }: Model,
  call: FuncCall,
  { copy, name }: { copy: string; name: string | null },
): PlanEdit[] {
  const tokens = source.tokens();
  const first = tokenAt(tokens, positionOf(source, call.location));
  let last = first;
  while (tokens[last + 1]?.text === '.') last += 2;
  const { end } = callExtent(source, call.location);
  const renamed = {
    start: tokens[first]!.start,
    end: tokens[last]!.end,
    parts: [quoteQualified(delegateSchema, copy)],
  };
  return name === null ? [renamed] : [renamed, { start: end, end, parts: [` AS ${quoteIdentifier(name)}`] }];
}
