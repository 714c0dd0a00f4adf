import type { ColumnRef, Node, SelectStmt } from '@pgsql/types';
import { mapNodes, nameParts } from '../sql/walk.ts';
import { groupingEdits } from './grouping.ts';
import {
  columnFor,
  integer,
  NotSplit,
  type PhaseQuestion,
  rowsFrom,
  type Split,
  sortBy,
  sortTarget,
  targetsOf,
} from './phase-split.ts';
import { bind } from './resolve.ts';

/**
 * FROM and WHERE on the nodes, all else by the coordinator, over the columns that it needs: aggregates that can't be split, windows over
 * all rows.
 */
export function splitSource(question: PhaseQuestion): Split {
  const { block, model, columns } = question;
  const { node } = block;
  const rest = [node.targetList, node.havingClause, node.sortClause, node.groupClause, node.windowClause];
  if (JSON.stringify([rest, node.distinctClause]).includes('"SubLink"'))
    throw new NotSplit('a subquery beside aggregates');
  const own = new Set(block.from);
  if (groupingEdits({ ...model, blocks: [block] }, (item) => own.has(item) || item.block === block).length > 0) {
    throw new NotSplit('columns that depend on a primary key');
  }
  const targets = targetsOf(question);
  const names = new Set(targets.map(({ name }) => name));
  const here = <T>(value: T, byName: boolean): T =>
    mapNodes(value, (kind, fields: ColumnRef) => {
      if (kind !== 'ColumnRef') return undefined;
      const [name, ...more] = nameParts(fields.fields);
      if (bind(fields, block)) return columnFor({ ColumnRef: fields }, question);
      if (byName && more.length === 0 && names.has(name ?? '')) return { ColumnRef: fields };
      throw new NotSplit('a column that is not known beforehand');
    });
  const targetList = targets.map(({ value, name }): Node => ({ ResTarget: { name, val: here(value, false) } }));
  const sortClause = (node.sortClause ?? []).map((sort): Node => {
    const by = sortBy(sort);
    const { target, index } = sortTarget(by.node, targets);
    return { SortBy: { ...by, node: target ? integer(index + 1) : here(by.node, false) } };
  });
  // As in ORDER BY, an output's name comes before a column's.
  const distinctOn = (item: Node): Node => {
    if (Object.keys(item).length === 0) return item;
    const { target, index } = sortTarget(item, targets);
    return target ? integer(index + 1) : here(item, false);
  };
  const { fromClause, whereClause, withClause: _, ...clauses } = node;
  const { groupClause, havingClause, windowClause, distinctClause } = clauses;
  const final: SelectStmt = {
    ...clauses,
    ...{ targetList, fromClause: rowsFrom },
    ...(groupClause ? { groupClause: here(groupClause, true) } : {}),
    ...(havingClause ? { havingClause: here(havingClause, false) } : {}),
    ...(windowClause ? { windowClause: here(windowClause, false) } : {}),
    ...(distinctClause ? { distinctClause: distinctClause.map(distinctOn) } : {}),
    ...(sortClause.length > 0 ? { sortClause } : {}),
  };
  if (columns.motion.length === 0) throw new NotSplit('no column is needed');
  const fragment: SelectStmt = {
    targetList: columns.targets(),
    ...(fromClause ? { fromClause } : {}),
    ...(whereClause ? { whereClause } : {}),
    ...{ limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' },
  };
  return { fragment, final };
}
