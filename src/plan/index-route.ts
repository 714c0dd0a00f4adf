import type { DistributedTable, GlobalIndex } from '../catalog/snapshot.ts';
import { globalIndexes, isOverExpression } from './change-checks.ts';
import type { PlanContext } from './context.ts';
import type { FactsByRelation } from './facts.ts';
import { isAggregate } from './functions.ts';
import type { KeyValue } from './key-value.ts';
import type { Model, RelationItem } from './model.ts';
import { pinnedValues } from './shards.ts';

/** A statement about one row, which a global unique index knows: its entry says which shard has it. */
export interface IndexRoute {
  readonly table: DistributedTable;
  readonly index: GlobalIndex;
  readonly hidden: DistributedTable;
  /** Of the index's columns. */
  readonly values: readonly NonNullable<KeyValue>[];
}

/**
 * SELECT, UPDATE and DELETE of one table whose WHERE gives all columns of a global unique index. Rows come if and only if the row is found,
 * so whoever follows the route notices when the row has gone elsewhere meanwhile. A partial index doesn't know all rows.
 */
export function indexRoute(model: Model, facts: FactsByRelation, context: PlanContext): IndexRoute | null {
  const item = onlyTable(model, context);
  if (!item?.table || context.pinned || context.force) return null;
  const { table } = item;
  if (table.hasRowSecurity || table.hasColumnGrants) return null;
  for (const index of globalIndexes(table)) {
    const hidden = context.snapshot.relations.get(index.hiddenSchema)?.get(index.hiddenName)?.distributed;
    if (index.predicate !== null || isOverExpression(index) || hidden?.distribution.kind !== 'distributed') continue;
    const rows = pinnedValues(item, hidden.distribution.keys, facts.get(item) ?? [], context);
    const values = rows?.length === 1 ? rows[0]!.filter((value) => value !== null) : [];
    if (values.length === index.columns.length) return { table, index, hidden, values };
  }
  return null;
}

function onlyTable({ root, relations }: Model, context: PlanContext): RelationItem | null {
  const [item] = root.from;
  if (root.from.length !== 1 || item?.kind !== 'relation' || item.role !== 'distributed' || item.sample) return null;
  if (relations.some((each) => each !== item && each.role !== 'reference')) return null;
  if (root.kind === 'update' || root.kind === 'delete') return item;
  if (root.kind !== 'select') return null;
  const { groupClause, havingClause } = root.node;
  const aggregated = groupClause ?? havingClause ?? root.functions.find((call) => isAggregate(call, context));
  return aggregated ? null : item;
}
