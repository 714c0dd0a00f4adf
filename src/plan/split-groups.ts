import type { Node, SelectStmt } from '@pgsql/types';
import { figureColumnName } from '../sql/column-name.ts';
import { mapNodes, nameParts } from '../sql/walk.ts';
import { splitAggregate } from './aggregates.ts';
import { isAggregate } from './functions.ts';
import {
  columnFor,
  identityOf,
  integer,
  NotSplit,
  type PhaseQuestion,
  rowsFrom,
  type Split,
  sortBy,
  sortTarget,
  type Target,
  targetsOf,
} from './phase-split.ts';
import { bind } from './resolve.ts';

/** Groups span nodes: partial aggregates there, and the final ones here. */
export function splitGroups(question: PhaseQuestion): Split {
  const { block, columns } = question;
  const { node } = block;
  if (hasSubLink([node.targetList, node.havingClause, node.sortClause, node.groupClause]))
    throw new NotSplit('a subquery beside aggregates');
  const targets = targetsOf(question);
  const sets = (node.groupClause ?? []).flatMap(groupItems);
  const groups = sets.map((group) => groupExpression(group, targets, question));
  const groupIds = new Map(groups.map((group) => [identityOf(group, question), columnFor(group, question)]));
  const columnOf = (group: Node) => groupIds.get(identityOf(groupExpression(group, targets, question), question))!;
  const groupClause = (node.groupClause ?? []).map((group) => mapGroup(group, columnOf));
  /** What the nodes group by besides. */
  const finer = new Map<string, Node>();
  const rewrite = (expression: Node) => combineExpression(expression, groupIds, finer, question);
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
    ...(groups.length + finer.size > 0 ? { groupClause: [...groups, ...finer.values()] } : {}),
    ...{ limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' },
  };
  const final: SelectStmt = {
    ...(node.distinctClause ? { distinctClause: node.distinctClause } : {}),
    targetList,
    fromClause: rowsFrom,
    ...(groupClause.length > 0 ? { groupClause } : {}),
    ...(node.groupDistinct ? { groupDistinct: true } : {}),
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
function groupExpression(group: Node, targets: readonly Target[], { block }: PhaseQuestion): Node {
  if ('RowExpr' in group) throw new NotSplit('GROUP BY of a row');
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

/** The expressions of GROUP BY, those inside grouping sets included. */
function groupItems(group: Node): Node[] {
  if (!('GroupingSet' in group)) return [group];
  return (group.GroupingSet.content ?? []).flatMap(groupItems);
}

/** In a grouping set a row is a list of expressions. */
function mapGroup(group: Node, columnOf: (group: Node) => Node): Node {
  if (!('GroupingSet' in group)) return columnOf(group);
  const content = (group.GroupingSet.content ?? []).map((each) => mapGroup(each, columnOf));
  return { GroupingSet: { ...group.GroupingSet, ...(content.length > 0 ? { content } : {}) } };
}

/** An expression over groups: grouped expressions and aggregates become columns of the motion. */
function combineExpression(
  expression: Node,
  groups: ReadonlyMap<string, Node>,
  finer: Map<string, Node>,
  question: PhaseQuestion,
): Node {
  const { block, scope, locus, columns, context } = question;
  return mapNodes(expression, (kind, fields: never) => {
    const node = { [kind]: fields } as unknown as Node;
    const group = isExpression(kind) ? groups.get(identityOf(node, question)) : undefined;
    if (group) return group;
    if (kind === 'FuncCall' && isAggregate(fields, context)) {
      const split = splitAggregate(fields, block, scope, locus);
      if (!split) throw new NotSplit(`${figureColumnName(node)}() is not split`);
      const parts = split.partials.map((partial) => {
        const identity = identityOf(partial.expression, question);
        if (split.grouped && !groups.has(identity)) finer.set(identity, partial.expression);
        return columns.add(partial.expression, identity, partial.type);
      });
      return split.combine(parts);
    }
    if (kind === 'ColumnRef') throw new NotSplit('a column that is neither grouped nor aggregated');
    if (kind === 'GroupingFunc') return groupingOf(fields, groups, question);
    return undefined;
  });
}

/** Not lists of names and the like, which are wrapped too. */
function isExpression(kind: string): boolean {
  return !['String', 'Integer', 'List', 'ResTarget', 'SortBy', 'WindowDef', 'TypeName', 'A_Star'].includes(kind);
}

/** GROUPING() is of the very expressions that are grouped by. */
function groupingOf(
  call: { readonly args?: Node[] },
  groups: ReadonlyMap<string, Node>,
  question: PhaseQuestion,
): Node {
  const args = (call.args ?? []).map((arg) => groups.get(identityOf(arg, question)));
  if (args.includes(undefined)) throw new NotSplit('GROUPING() of what is not grouped by');
  return { GroupingFunc: { ...call, args: args as Node[] } };
}
