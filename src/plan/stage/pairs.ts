import type { Node } from '@pgsql/types';
import type { KeyColumn } from '../../catalog/snapshot.ts';
import { visible } from '../alignment.ts';
import type { PlanContext } from '../context.ts';
import type { Fact } from '../facts.ts';
import { sameFamily } from '../key-value.ts';
import type { LeafItem, RelationItem } from '../model.ts';
import { type Bound, columnEntry } from '../resolve.ts';
import { equalitySides } from '../shards.ts';
import { type InferredType, inferType } from '../type-inference.ts';

/** Two columns that a fact says are equal, by one hash family's `=`; also columns of subqueries in FROM. */
export type EqualPair = readonly [Bound, Bound];

export function equalPairs(facts: readonly Fact[], context: PlanContext): EqualPair[] {
  return facts.flatMap((fact) => {
    const sides = equalitySides(fact.expression, context);
    if (!sides) return [];
    const [left, right] = sides.map((side) => boundSide(side, fact));
    if (!left || !right) return [];
    const [a, b] = [boundType(left, context), boundType(right, context)];
    const fits = a && b && a.collation === null && b.collation === null && sameFamily(a.typeOid, b.typeOid);
    return fits ? [[left, right] as const] : [];
  });
}

function boundSide(node: Node, fact: Fact): Bound | null {
  return 'ColumnRef' in node ? (fact.columns.get(node.ColumnRef) ?? null) : null;
}

/** The type that a column is compared by: of a domain, what it is over. */
export function boundType(bound: Bound, context: PlanContext): InferredType | null {
  if (bound.item.kind === 'relation') {
    const column = columnEntry(bound);
    const distribution = bound.item.table?.distribution;
    const key =
      distribution?.kind === 'distributed' ? distribution.keys.find(({ name }) => name === column?.name) : null;
    return column
      ? { typeOid: key?.typeOid ?? column.typeOid, typeName: column.typeName, collation: column.collation }
      : null;
  }
  return inferType({ ColumnRef: {} }, { context, bind: () => bound });
}

/** All that equals a column. */
export function equalTo(start: Bound, pairs: readonly EqualPair[]): Bound[] {
  const same = (a: Bound, b: Bound) => a.item === b.item && a.column === b.column;
  const reached = [start];
  for (let i = 0; i < reached.length; i++) {
    for (const [a, b] of pairs) {
      const next = same(a, reached[i]!) ? b : same(b, reached[i]!) ? a : null;
      if (next && !reached.some((each) => same(each, next))) reached.push(next);
    }
  }
  return reached;
}

/** For each distribution column of a relation, a column of one of the leaves that equals it; null: some has none. */
export function keyPartners(
  member: RelationItem,
  leaves: ReadonlySet<LeafItem>,
  facts: readonly Fact[],
  context: PlanContext,
): Bound[] | null {
  const distribution = member.table?.distribution;
  // Rows that are spread at random have no key that others could follow.
  if (distribution?.kind !== 'distributed' || distribution.keys.length === 0) return null;
  const pairs = equalPairs(facts, context);
  const partners = distribution.keys.map((key: KeyColumn) =>
    equalTo({ item: member, column: visible(member, key.name) }, pairs).find(({ item }) => leaves.has(item)),
  );
  return partners.every((partner) => partner !== undefined) ? partners : null;
}
