import { isKeyed } from '../catalog/snapshot.ts';
import type { PlanContext } from './context.ts';
import type { Fact } from './facts.ts';
import type { RelationItem } from './model.ts';
import { columnPair } from './shards.ts';

/** The facts of `item` say that its key columns equal those of `anchor`, in one co-location group. */
export function isAligned(
  item: RelationItem,
  anchor: RelationItem,
  facts: readonly Fact[],
  context: PlanContext,
): boolean {
  const [own, other] = [item.table?.distribution, anchor.table?.distribution];
  if (own?.kind !== 'distributed' || other?.kind !== 'distributed' || own.group.id !== other.group.id) return false;
  if (!isKeyed(own) || !isKeyed(other)) return false;
  const pairs = facts.flatMap((fact) => {
    const pair = columnPair(fact, context);
    return pair ? [pair] : [];
  });
  return own.keys.every((key, i) => {
    const start = { item, column: visible(item, key.name) };
    const goal = { item: anchor, column: visible(anchor, other.keys[i]!.name) };
    return connects(start, goal, pairs);
  });
}

/** The name that a column of a relation goes by in the statement. */
export function visible(item: RelationItem, name: string): string {
  const index = item.relation?.columns.findIndex((column) => column.name === name) ?? -1;
  return item.columns?.[index] ?? '';
}

type Place = { readonly item: unknown; readonly column: string };

function connects(start: Place, goal: Place, pairs: readonly (readonly [Place, Place])[]): boolean {
  const same = (a: Place, b: Place) => a.item === b.item && a.column === b.column;
  const reached = [start];
  for (let i = 0; i < reached.length; i++) {
    if (same(reached[i]!, goal)) return true;
    for (const [a, b] of pairs) {
      const next = same(a, reached[i]!) ? b : same(b, reached[i]!) ? a : null;
      if (next && !reached.some((each) => same(each, next))) reached.push(next);
    }
  }
  return false;
}
