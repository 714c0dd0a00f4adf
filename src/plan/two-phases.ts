import type { Node, ResTarget, SelectStmt } from '@pgsql/types';
import { PgError } from '../core/errors.ts';
import { figureColumnName } from '../sql/column-name.ts';
import { deparseChecked, fillHoles, holeNode } from '../sql/deparse.ts';
import { columnRef, fingerprint, mapNodes, nameParts } from '../sql/walk.ts';
import { splitAggregate } from './aggregates.ts';
import type { PlanContext } from './context.ts';
import type { FactsByRelation } from './facts.ts';
import { withHoles } from './fragment.ts';
import { isAggregate } from './functions.ts';
import { rowWindow } from './limit.ts';
import { groupsStayWhole, type Hashed, sourceLocus, windowsStayWhole } from './locus.ts';
import type { Model, SelectBlock } from './model.ts';
import { createPhaseColumns, type PhaseColumns, rowsName } from './phase-columns.ts';
import type { Motion, Plan, SqlPart, SqlTemplate } from './plan.ts';
import { bind, expandStar } from './resolve.ts';
import { type ConstantPool, createConstantPool } from './rewrite.ts';
import { distinctStaysWhole, locusShards } from './scatter.ts';
import { nodesOf } from './shards.ts';
import { type InferredType, inferType, type Scope } from './type-inference.ts';

/** A SELECT in two parts: what each node computes, and what the coordinator makes of it. */
interface Split {
  readonly fragment: SelectStmt;
  readonly final: SelectStmt;
}

interface Question {
  readonly model: Model;
  readonly block: SelectBlock;
  readonly locus: Hashed;
  readonly context: PlanContext;
  readonly scope: Scope;
  readonly columns: PhaseColumns;
}

/** A statement that can't be split says why by throwing this; it then goes down a rung. */
class NotSplit extends Error {}

/** Partial aggregates, or sorted and de-duplicated rows, on the nodes; the rest on the coordinator. */
export function planTwoPhases(
  model: Model,
  facts: FactsByRelation,
  context: PlanContext,
): Plan | { readonly reason: string } {
  const { root } = model;
  const locus = sourceLocus(root, { model, facts, context });
  if ('reason' in locus) return locus;
  if (root.kind !== 'select') return { reason: 'no SELECT' };
  if (model.views.length > 0) return { reason: 'views are expanded on the coordinator' };
  if (model.relations.some((item) => item.lock !== null)) return { reason: 'row locks' };
  const columns = createPhaseColumns();
  const scope: Scope = { context, bind: (ref) => bind(ref, root) };
  const question: Question = { model, block: root, locus, context, scope, columns };
  try {
    const whole = groupsStayWhole(root, locus, context);
    const split = whole ? splitRows(question) : splitGroups(question);
    return phasesPlan(split, question, facts, whole ? 'rows are ordered by the coordinator' : 'partial aggregates');
  } catch (error) {
    if (error instanceof NotSplit) return { reason: error.message };
    if (error instanceof PgError) return { reason: error.message };
    throw error;
  }
}

function phasesPlan(split: Split, question: Question, facts: FactsByRelation, reason: string): Plan {
  const { model, locus, context, columns } = question;
  const constants = createConstantPool();
  const shards = locusShards(locus, facts, context);
  const motion: Motion = {
    kind: 'gather',
    sites: nodesOf(locus.anchor.table!, shards.indexes),
    sql: fragmentSql(split.fragment, question, constants),
    columns: columns.motion,
    primaryKey: [],
    locksRows: false,
    label: reason === 'partial aggregates' ? 'Partial aggregates' : 'Rows',
  };
  const dependsOnParameters =
    shards.dependsOnParameters || (rowWindow(model.root.node as SelectStmt, context)?.dependsOnParameters ?? true);
  return {
    ...{ rung: 'two phases', reason, constants: constants.list, motions: [motion] },
    final: { kind: 'combine', sql: finalSql(split.final, question), utility: false },
    ...{ writes: false, returnsRows: true, valueIndependent: !dependsOnParameters },
  };
}

/** The nodes' part as text: relations by their full names, parameters and constants as holes. */
function fragmentSql(fragment: SelectStmt, { model, context }: Question, constants: ConstantPool): SqlTemplate {
  const tables = new Map(model.relations.map((item) => [item.node, item]));
  const named = mapNodes<Node>({ SelectStmt: fragment }, (kind, fields: never) => {
    const table = kind === 'RangeVar' ? tables.get(fields) : undefined;
    if (!table?.table) return undefined;
    const { schema, name } = table.table;
    const alias = table.node.alias ?? { aliasname: table.name };
    return { RangeVar: { schemaname: schema, relname: name, inh: true, relpersistence: 'p', alias } };
  });
  const { tree, holes } = withHoles(named, { context, constants, column: unqualified });
  return fillHoles<Exclude<SqlPart, string>>(deparseChecked(tree), holes);
}

function unqualified(ref: { fields?: Node[] }): Node | null {
  return (ref.fields?.length ?? 0) > 2 ? { ColumnRef: { fields: ref.fields!.slice(-2) } } : null;
}

const rowsHole = 'pgherd hole 0';

function finalSql(final: SelectStmt, { context, columns }: Question): SqlTemplate {
  // Functions of the final step run on the coordinator: nothing of it becomes a constant.
  const holes: SqlPart[][] = [[columns.arrivalHead(), { motion: 0 }, `) AS ${rowsName}`]];
  const tree = mapNodes<Node>({ SelectStmt: final }, (kind, fields: never) => {
    if (kind !== 'ParamRef') return undefined;
    const { holes: own } = withHoles({ ParamRef: fields } as Node, {
      context,
      constants: createConstantPool(),
      column: () => null,
    });
    return holeNode(holes.push(own[0]!) - 1);
  });
  return fillHoles<Exclude<SqlPart, string>>(deparseChecked(tree), holes);
}

const rowsFrom: Node[] = [{ RangeVar: { relname: rowsHole, inh: true, relpersistence: 'p' } }];

/** Expressions that mean the same, however their columns are qualified. */
function identityOf(expression: Node, { block }: Question): string {
  const ids = new Map<unknown, number>();
  const resolved = mapNodes(expression, (kind, fields: never) => {
    const bound = kind === 'ColumnRef' ? bind(fields, block) : null;
    if (!bound) return undefined;
    const index = block.from.length > 0 ? itemNumber(bound.item, ids) : 0;
    return columnRef(`item ${index} ${bound.item.name ?? ''}`, bound.column);
  });
  return fingerprint(resolved);
}

/** FROM items of one block have different names, so the name and the block tell them apart. */
function itemNumber(item: object, ids: Map<unknown, number>): number {
  const owner = 'owner' in item ? item.owner : 'block' in item ? item.block : null;
  const known = ids.get(owner);
  if (known !== undefined) return known;
  ids.set(owner, ids.size);
  return ids.size - 1;
}

function typeOf(expression: Node, { scope }: Question): InferredType {
  // A literal that nothing gives another type to is text.
  if ('A_Const' in expression && expression.A_Const.sval) return { typeOid: 25, typeName: 'text', collation: null };
  const type = inferType(expression, scope);
  if (!type) throw new NotSplit(`the type of "${figureColumnName(expression)}" is not known beforehand`);
  return type;
}

function columnFor(expression: Node, question: Question): Node {
  return question.columns.add(expression, identityOf(expression, question), typeOf(expression, question));
}

interface Target {
  readonly value: Node;
  readonly name: string;
  /** It had an AS: ORDER BY finds it by that name in any case. */
  readonly field: ResTarget;
}

/** The SELECT list with its stars expanded and every item named as PostgreSQL names it. */
function targetsOf({ block }: Question): Target[] {
  return (block.node.targetList ?? []).flatMap((node): Target[] => {
    if (!('ResTarget' in node) || !node.ResTarget.val) throw new NotSplit('an odd SELECT list');
    const { val, name } = node.ResTarget;
    const fields = 'ColumnRef' in val ? nameParts(val.ColumnRef.fields) : [];
    if (fields.at(-1) !== null || fields.length === 0)
      return [{ value: val, name: name ?? figureColumnName(val), field: node.ResTarget }];
    const outputs = expandStar(fields, block);
    if (!outputs) throw new NotSplit('the columns of * are not known beforehand');
    return outputs.map((output): Target => {
      if (!output.bound?.item.name) throw new NotSplit('a column of * is not known beforehand');
      return {
        value: columnRef(output.bound.item.name, output.bound.column),
        name: output.name,
        field: node.ResTarget,
      };
    });
  });
}

/** Rows that are whole on the nodes: sorted, de-duplicated or cut by the coordinator. */
function splitRows(question: Question): Split {
  const { block, locus, context, columns } = question;
  const { node } = block;
  if (!windowsStayWhole(block, locus)) throw new NotSplit('window partitions span nodes');
  const isOn = (node.distinctClause ?? []).some((each) => Object.keys(each).length > 0);
  const whole = !node.distinctClause || distinctStaysWhole(block, locus);
  if (isOn && !whole) throw new NotSplit('DISTINCT ON over several nodes');
  if (node.limitOption === 'LIMIT_OPTION_WITH_TIES') throw new NotSplit('WITH TIES');
  const targets = targetsOf(question);
  if (targets.some(({ value }) => returnsSet(value, question)))
    throw new NotSplit('a set-returning function in a sorted list');
  const targetList = targets.map(({ value, name }): Node => ({ ResTarget: { name, val: columnFor(value, question) } }));
  const sortClause = (node.sortClause ?? []).map((sort) => sortOnCoordinator(sort, targets, question));
  if (node.distinctClause && whole && !isOn && columns.motion.some(({ viaText }) => viaText)) {
    throw new NotSplit('DISTINCT of a type that travels as text');
  }
  const window = rowWindow(node, context);
  const cut = window?.limit !== null && window !== null && (whole || !node.distinctClause);
  const { limitCount, limitOffset, sortClause: ownSort, targetList: _list, withClause: _with, ...rest } = node;
  const fragment: SelectStmt = {
    ...rest,
    targetList: columns.targets(),
    ...(ownSort && (cut || isOn) ? { sortClause: ownSort.map((sort) => sortOnNode(sort, targets)) } : {}),
    ...(cut
      ? { limitCount: integer(window.limit! + window.offset), limitOption: 'LIMIT_OPTION_COUNT' }
      : { limitOption: 'LIMIT_OPTION_DEFAULT' }),
  };
  const final: SelectStmt = {
    ...(node.distinctClause && !isOn && !whole ? { distinctClause: node.distinctClause } : {}),
    targetList,
    fromClause: rowsFrom,
    ...(sortClause.length > 0 ? { sortClause } : {}),
    ...(limitCount ? { limitCount } : {}),
    ...(limitOffset ? { limitOffset } : {}),
    limitOption: node.limitOption ?? 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
  return { fragment, final };
}

function returnsSet(value: Node, { context }: Question): boolean {
  let found = false;
  mapNodes(value, (kind, fields: { funcname?: Node[] }) => {
    const name = kind === 'FuncCall' ? (nameParts(fields.funcname).at(-1) ?? '') : '';
    found ||= (context.snapshot.functions.get(name) ?? []).some((traits) => traits.returnsSet);
    return undefined;
  });
  return found;
}

function integer(value: number): Node {
  return value > 2_147_483_647
    ? { A_Const: { fval: { fval: String(value) } } }
    : { A_Const: { ival: value === 0 ? {} : { ival: value } } };
}

/** What a sort item stands for: an output by number or name, or an expression of its own. */
function sortTarget(node: Node, targets: readonly Target[]): { target: Target | null; index: number } {
  const none = { target: null, index: -1 };
  if ('A_Const' in node && node.A_Const.ival) {
    const index = (node.A_Const.ival.ival ?? 0) - 1;
    const target = targets[index];
    if (!target) throw new NotSplit('ORDER BY position');
    return { target, index };
  }
  const names = 'ColumnRef' in node ? nameParts(node.ColumnRef.fields) : [];
  if (names.length !== 1) return none;
  const index = targets.findIndex(({ name }) => name === names[0]);
  if (targets.filter(({ name }) => name === names[0]).length > 1)
    throw new NotSplit('ORDER BY of a name that several outputs have');
  return index < 0 ? none : { target: targets[index]!, index };
}

function sortBy(sort: Node) {
  if (!('SortBy' in sort) || !sort.SortBy.node || sort.SortBy.useOp) throw new NotSplit('ORDER BY … USING');
  return { ...sort.SortBy, node: sort.SortBy.node };
}

/** On the coordinator outputs are sorted by their number, all else by a column that travels for it. */
function sortOnCoordinator(sort: Node, targets: readonly Target[], question: Question): Node {
  const by = sortBy(sort);
  const { target, index } = sortTarget(by.node, targets);
  if (target) return { SortBy: { ...by, node: integer(index + 1) } };
  if ('CollateClause' in by.node && by.node.CollateClause.arg) {
    const arg = columnFor(by.node.CollateClause.arg, question);
    return { SortBy: { ...by, node: { CollateClause: { ...by.node.CollateClause, arg } } } };
  }
  return { SortBy: { ...by, node: columnFor(by.node, question) } };
}

/** On the nodes the outputs have other names, so the expression itself stands there. */
function sortOnNode(sort: Node, targets: readonly Target[]): Node {
  const by = sortBy(sort);
  const { target } = sortTarget(by.node, targets);
  const node = target ? target.value : by.node;
  if ('A_Const' in node)
    return {
      SortBy: {
        ...by,
        node: { TypeCast: { arg: node, typeName: { names: [{ String: { sval: 'text' } }], typemod: -1 } } },
      },
    };
  return { SortBy: { ...by, node } };
}

/** Groups span nodes: partial aggregates there, and the final ones here. */
function splitGroups(question: Question): Split {
  const { block, columns } = question;
  const { node } = block;
  if (hasSubLink([node.targetList, node.havingClause, node.sortClause, node.groupClause]))
    throw new NotSplit('a subquery beside aggregates');
  const targets = targetsOf(question);
  const groups = (node.groupClause ?? []).map((group) => groupExpression(group, targets, question));
  const groupIds = new Map(groups.map((group) => [identityOf(group, question), columnFor(group, question)]));
  const rewrite = (expression: Node) => combineExpression(expression, groupIds, question);
  const targetList = targets.map(({ value, name }): Node => ({ ResTarget: { name, val: rewrite(value) } }));
  const sortClause = (node.sortClause ?? []).map((sort): Node => {
    const by = sortBy(sort);
    const { target, index } = sortTarget(by.node, targets);
    return { SortBy: { ...by, node: target ? integer(index + 1) : rewrite(by.node) } };
  });
  const distinctOn = (node.distinctClause ?? []).some((each) => Object.keys(each).length > 0);
  if (distinctOn) throw new NotSplit('DISTINCT ON beside aggregates');
  const having = node.havingClause ? rewrite(node.havingClause) : undefined;
  const windows = node.windowClause?.map(rewrite);
  const fragment: SelectStmt = {
    targetList: columns.targets(),
    ...(node.fromClause ? { fromClause: node.fromClause } : {}),
    ...(node.whereClause ? { whereClause: node.whereClause } : {}),
    ...(groups.length > 0 ? { groupClause: groups } : {}),
    ...{ limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' },
  };
  const final: SelectStmt = {
    ...(node.distinctClause ? { distinctClause: node.distinctClause } : {}),
    targetList,
    fromClause: rowsFrom,
    ...(groups.length > 0 ? { groupClause: [...groupIds.values()] } : {}),
    ...(having ? { havingClause: having } : {}),
    ...(windows ? { windowClause: windows } : {}),
    ...(sortClause.length > 0 ? { sortClause } : {}),
    ...(node.limitCount ? { limitCount: node.limitCount } : {}),
    ...(node.limitOffset ? { limitOffset: node.limitOffset } : {}),
    limitOption: node.limitOption ?? 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
  if (columns.motion.length === 0) throw new NotSplit('no aggregate');
  return { fragment, final };
}

function hasSubLink(value: unknown): boolean {
  return JSON.stringify(value).includes('"SubLink"');
}

/** A GROUP BY item: a number is an output, a name is a column of FROM before it is an output. */
function groupExpression(group: Node, targets: readonly Target[], { block }: Question): Node {
  if ('GroupingSet' in group || 'RowExpr' in group) throw new NotSplit('grouping sets');
  if ('ColumnRef' in group) {
    if (bind(group.ColumnRef, block)) return group;
    const { target } = sortTarget(group, targets);
    if (!target || nameParts(group.ColumnRef.fields).length > 1)
      throw new NotSplit('GROUP BY of a name that is not known');
    return target.value;
  }
  if ('A_Const' in group) {
    const { target } = sortTarget(group, targets);
    if (!target) throw new NotSplit('GROUP BY of a constant');
    if ('A_Const' in target.value) throw new NotSplit('GROUP BY of a constant');
    return target.value;
  }
  return group;
}

/** An expression over groups: grouped expressions and aggregates become columns of the motion. */
function combineExpression(expression: Node, groups: ReadonlyMap<string, Node>, question: Question): Node {
  const { block, scope, locus, columns, context } = question;
  return mapNodes(expression, (kind, fields: never) => {
    const node = { [kind]: fields } as unknown as Node;
    const group = isExpression(kind) ? groups.get(identityOf(node, question)) : undefined;
    if (group) return group;
    if (kind === 'FuncCall' && isAggregate(fields, context)) {
      const split = splitAggregate(fields, block, scope, locus);
      if (!split) throw new NotSplit(`${figureColumnName(node)}() is not split`);
      const parts = split.partials.map((partial) =>
        columns.add(partial.expression, identityOf(partial.expression, question), partial.type),
      );
      return split.combine(parts);
    }
    if (kind === 'ColumnRef') throw new NotSplit('a column that is neither grouped nor aggregated');
    if (kind === 'GroupingFunc') throw new NotSplit('GROUPING()');
    return undefined;
  });
}

/** Not lists of names and the like, which are wrapped too. */
function isExpression(kind: string): boolean {
  return !['String', 'Integer', 'List', 'ResTarget', 'SortBy', 'WindowDef', 'TypeName', 'A_Star'].includes(kind);
}
