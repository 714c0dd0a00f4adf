import type { Node, SelectStmt } from '@pgsql/types';
import { walk } from '../sql/walk.ts';
import { mayReturnSet } from './functions.ts';
import { rowWindow } from './limit.ts';
import { windowsStayWhole } from './locus.ts';
import {
  columnFor,
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
import { distinctStaysWhole } from './scatter.ts';

/** Rows that are whole on the nodes: sorted, de-duplicated or cut by the coordinator. */
export function splitRows(question: PhaseQuestion): Split {
  const { block, locus, context, columns } = question;
  const { node } = block;
  if (!windowsStayWhole(block, locus)) throw new NotSplit('window partitions span nodes');
  const isOn = (node.distinctClause ?? []).some((each) => Object.keys(each).length > 0);
  const whole = !node.distinctClause || distinctStaysWhole(block, locus);
  if (isOn && !whole) throw new NotSplit('DISTINCT ON over several nodes');
  const targets = targetsOf(question);
  if (targets.some(({ value }) => returnsSet(value, question)))
    throw new NotSplit('a set-returning function in a sorted list');
  const targetList = targets.map(({ value, name }): Node => ({ ResTarget: { name, val: columnFor(value, question) } }));
  const sortClause = (node.sortClause ?? []).map((sort) => sortOnCoordinator(sort, targets, question));
  if (node.distinctClause && whole && !isOn && columns.motion.some(({ viaText }) => viaText)) {
    throw new NotSplit('DISTINCT of a type that travels as text');
  }
  // A row that ties with the last one of all does so on its node, too, or comes before that one's last.
  const window = rowWindow({ ...node, limitOption: 'LIMIT_OPTION_COUNT' }, context);
  const cut = window?.limit !== null && window !== null && (whole || !node.distinctClause);
  const { limitCount, limitOffset, sortClause: ownSort, targetList: _list, withClause: _with, ...rest } = node;
  const fragment: SelectStmt = {
    ...rest,
    targetList: columns.targets(),
    ...(ownSort && (cut || isOn) ? { sortClause: ownSort.map((sort) => sortOnNode(sort, targets)) } : {}),
    ...(cut
      ? { limitCount: integer(window.limit! + window.offset), limitOption: node.limitOption ?? 'LIMIT_OPTION_COUNT' }
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

function returnsSet(value: Node, { context }: PhaseQuestion): boolean {
  let found = false;
  walk(value, (kind, call) => {
    found ||= kind === 'FuncCall' && mayReturnSet(call, context);
    return true;
  });
  return found;
}

/** On the coordinator outputs are sorted by their number, all else by a column that travels for it. */
function sortOnCoordinator(sort: Node, targets: readonly Target[], question: PhaseQuestion): Node {
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
