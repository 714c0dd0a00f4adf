import type { Node, SelectStmt } from '@pgsql/types';
import { restate } from '../../sql/restate.ts';
import { analyze } from '../analyze.ts';
import { findFacts } from '../facts.ts';
import { gather } from '../gather.ts';
import { type Block, isInside, leavesOf, type Model } from '../model.ts';
import { blockOutputs } from '../resolve.ts';
import type { NextCte } from './normalise.ts';
import { outputsOf, stagedRange } from './query.ts';
import type { StageQuestion, Stepped } from './question.ts';
import { sizeOf } from './size.ts';
import { selectOf } from './tree.ts';

/**
 * A recursive CTE, beside tables of the nodes: it is computed on the coordinator before them. The tables that are in it travel there once, with
 * the conditions on each of them alone carried out. It must be one that PostgreSQL would compute to its end as well.
 */
export function stageRecursive(cte: NextCte, question: StageQuestion): Stepped {
  const { model, staging } = question;
  const { context } = staging;
  const inside = model.relations.filter((item) => isInside(item.block, cte.block));
  const others = model.relations.filter((item) => !inside.includes(item));
  if (cte.owner !== model.root || !others.some(({ role }) => role === 'distributed'))
    return { reason: 'a recursive query' };
  if (mayStopEarly(cte, model)) return { reason: 'a recursive query that may be left before its end' };
  if (inside.some(({ relation }) => relation && context.staged.has(relation)))
    return { reason: 'a recursive query over rows of another one' };
  const names = blockOutputs(cte.block)?.map(({ name }) => name) ?? [];
  const query = alone(cte);
  const columns = outputsOf(query, context);
  if ('reason' in columns) return columns;
  if (names.length !== columns.length || new Set(names).size < names.length)
    return { reason: 'the columns of a CTE are not known' };
  const statement = restate(query);
  const own = analyze(statement.node, statement, context);
  const { steps } = context;
  const { constants, motions } = steps;
  const { sql } = gather({ model: own, facts: findFacts(own.root), context, constants, motions });
  steps.readsCoordinator ||= own.relations.some(({ role }) => role !== 'distributed');
  const { rows } = sizeOf(query, context);
  // Read in two places, it is still one and the same.
  const once = ['SELECT * FROM (', ...sql, ') AS pgherd_s OFFSET 0'];
  const staged = { relation: staging.addQuery(once, columns, names, rows), names };
  return {
    tree: cte.without((alias) => {
      const range = stagedRange(staged, alias.aliasname) as { RangeVar: object };
      return { RangeVar: { ...range.RangeVar, alias } };
    }),
  };
}

/** `WITH RECURSIVE r AS (…) SELECT * FROM r` */
function alone({ node, name }: NextCte): Node {
  const everything = { ResTarget: { val: { ColumnRef: { fields: [{ A_Star: {} }] } } } };
  const select = selectOf({
    targetList: [everything],
    fromClause: [{ RangeVar: { relname: name, inh: true, relpersistence: 'p' } }],
  });
  const { SelectStmt: fields } = select as { SelectStmt: SelectStmt };
  return { SelectStmt: { ...fields, withClause: { ctes: [node], recursive: true } } };
}

/** LIMIT without an order, and EXISTS and its like, end a recursion that would go on. */
function mayStopEarly({ name, block }: NextCte, { root, blocks }: Model): boolean {
  const reached = fromBlocks(root);
  return blocks.some((each) => {
    if (isInside(each, block)) return false;
    const isRead = each.from.flatMap(leavesOf).some((leaf) => {
      return (
        leaf.kind === 'other' && leaf.what === 'cte' && 'RangeVar' in leaf.node && leaf.node.RangeVar.relname === name
      );
    });
    const cuts = each.kind === 'select' && each.node.limitCount && !each.node.sortClause;
    return cuts || (isRead && !reached.includes(each));
  });
}

function fromBlocks(block: Block): Block[] {
  return [block, ...block.children.flatMap((child) => (child.via === 'from' ? fromBlocks(child.block) : []))];
}
