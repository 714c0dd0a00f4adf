import type { PlanContext } from './context.ts';
import type { FactsByRelation } from './facts.ts';
import type { Model } from './model.ts';
import type { TouchedShards } from './plan.ts';
import { shardsOf } from './shards.ts';

/** Which shards a statement meets. `pinned`: the only one, when it is known already. Rows that are inserted elsewhere are left out. */
export function touchedShards(
  model: Model,
  facts: FactsByRelation,
  context: PlanContext,
  pinned: number | null = null,
): TouchedShards[] {
  return model.relations.flatMap((item) => {
    const distribution = item.table?.distribution;
    if (!item.table || distribution?.kind !== 'distributed') return [];
    if (pinned !== null) return [{ relation: item.table.oid, shards: [pinned] }];
    if (item.isTarget && item.block.kind === 'insert') return [];
    const { indexes } = shardsOf(item, facts.get(item) ?? [], context);
    const all = distribution.group.shards.map(({ index }) => index);
    return [{ relation: item.table.oid, shards: indexes === null ? all : [...indexes] }];
  });
}
