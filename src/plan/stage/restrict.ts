import type { Node } from '@pgsql/types';
import { columnRef } from '../../sql/walk.ts';
import { conjuncts } from '../facts.ts';
import type { RelationItem, SelectBlock } from '../model.ts';
import type { Bound } from '../resolve.ts';
import { equalPairs } from './pairs.ts';
import { stagedRange } from './query.ts';
import type { StageQuestion } from './question.ts';
import { conditionsOf, selectOf, target, whereOf } from './tree.ts';
import type { Unit } from './unit.ts';

/** Few enough for each node to keep them in memory beside a scan. */
const maxKnownRows = 20_000;

/**
 * The unit's query without rows that meet none of those that every node has been given before: a semi-join. They would travel for
 * nothing. Of members of a FROM list only: outer joins keep rows without a match. `rows`: how many the unit is thought to have.
 */
export function restrictedQuery(unit: Unit, rows: number, block: SelectBlock, question: StageQuestion): Node {
  const { context, staging } = question;
  if (!unit.sides.every(({ item }) => item.kind === 'relation' && isOnNodes(item, question))) return unit.query;
  const conditions = equalPairs(conjuncts(block.where, block), context).flatMap(([a, b]) => {
    if (unit.leaves.has(a.item) === unit.leaves.has(b.item)) return [];
    const [own, other] = unit.leaves.has(a.item) ? [a, b] : [b, a];
    const known = knownRows(other, question);
    if (known === null || known.rows > maxKnownRows || known.rows * 2 > rows) return [];
    const name = staging.newName();
    const subselect = selectOf({
      targetList: [target('c0', columnRef(name, other.column))],
      fromClause: [stagedRange({ relation: known.relation, names: [] }, name)],
    });
    const testexpr = columnRef(own.item.name ?? '', own.column);
    return [{ SubLink: { subLinkType: 'ANY_SUBLINK' as const, testexpr, subselect } }];
  });
  if (conditions.length === 0 || !('SelectStmt' in unit.query)) return unit.query;
  const { SelectStmt: select } = unit.query;
  return selectOf({ ...select, ...whereOf([...conditionsOf(select.whereClause), ...conditions]) });
}

function isOnNodes({ relation, table }: RelationItem, { context }: StageQuestion): boolean {
  return table !== null && !(relation && context.staged.has(relation));
}

/** Rows of an earlier step of which each node has all. */
function knownRows(
  { item }: Bound,
  { context }: StageQuestion,
): { readonly relation: string; readonly rows: number } | null {
  if (item.kind !== 'relation' || item.relation === null || item.table?.distribution.kind !== 'reference') return null;
  const staged = context.staged.get(item.relation);
  return staged ? { relation: item.relation.name, rows: staged.rows } : null;
}
