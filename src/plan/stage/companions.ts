import { conjuncts } from '../facts.ts';
import type { LeafItem, SelectBlock } from '../model.ts';
import { equalPairs } from './pairs.ts';
import type { StageQuestion } from './question.ts';
import { leavesIn } from './tree.ts';
import { concernsOnly, type Side } from './unit.ts';

/**
 * The reference tables that go along when sides move: each row meets at most one of theirs, they are joined with nothing else that is
 * spread over nodes, and some condition on them leaves rows out, so that fewer travel.
 */
export function companionsOf(
  sides: readonly Side[],
  references: readonly Side[],
  block: SelectBlock,
  question: StageQuestion,
): Side[] {
  const pairs = equalPairs(conjuncts(block.where, block), question.context);
  const leaves = new Set<LeafItem>(leavesIn(sides.map(({ item }) => item)));
  const copied = new Set<LeafItem>(leavesIn(references.map(({ item }) => item)));
  const found: Side[] = [];
  for (let added = true; added; ) {
    added = false;
    for (const side of references) {
      const { item } = side;
      if (item.kind !== 'relation' || !item.table || found.includes(side)) continue;
      const own = pairs.flatMap(([a, b]) =>
        a.item === item ? [[a, b] as const] : b.item === item ? [[b, a] as const] : [],
      );
      const isMet = item.table.primaryKey.every((name) => {
        const column = item.columns?.[item.table?.columns.findIndex((each) => each.name === name) ?? -1];
        return own.some(([mine, other]) => mine.column === column && leaves.has(other.item));
      });
      const isElsewhere = own.some(([, other]) => !leaves.has(other.item) && !copied.has(other.item));
      if (item.table.primaryKey.length === 0 || !isMet || isElsewhere) continue;
      found.push(side);
      leaves.add(item);
      added = true;
    }
  }
  const leavesOut = found.some(({ item }) =>
    item.kind === 'relation'
      ? (question.facts.get(item) ?? []).some((fact) => concernsOnly(fact, new Set([item])))
      : false,
  );
  return leavesOut ? found : [];
}
