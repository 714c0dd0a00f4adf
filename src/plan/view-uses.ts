import type { Model, QueryItem } from './model.ts';
import type { ViewUse } from './plan.ts';

/**
 * The views that a model has replaced by their definitions. No server sees them in the statement, so whoever runs the plan
 * checks what PostgreSQL would have checked of them.
 */
export function viewUses(model: Model): ViewUse[] {
  // Each expansion has a source of its own.
  const around = (view: QueryItem) => model.views.find((other) => other.block.source === view.owner.source);
  return model.views.map((view) => ({
    view: oidOf(view),
    within: [...chain(view, around)].map(oidOf),
    tables: model.relations.flatMap((item) =>
      item.block.source === view.block.source && item.role === 'distributed' ? [item.table!.oid] : [],
    ),
  }));
}

function oidOf(item: QueryItem): number {
  return item.view!.relation.oid;
}

/** The views around one, the nearest first. */
function* chain(view: QueryItem, around: (view: QueryItem) => QueryItem | undefined): Iterable<QueryItem> {
  for (let outer = around(view); outer; outer = around(outer)) yield outer;
}
