import type { Node } from '@pgsql/types';
import { unsupported } from '../core/errors.ts';
import type { RawStatement } from '../sql/parse.ts';
import { positionOf, textBetween } from '../sql/source.ts';
import { withoutChanges } from './change-pieces.ts';
import type { PlanContext } from './context.ts';
import { closing, type Extent, type PlanEdit, tokenAt } from './edits.ts';
import { isChange, isInside, leavesOf, type Model, type RelationItem } from './model.ts';
import type { ChangeFirst, Plan } from './plan.ts';
import { allBlocks } from './sublink.ts';

/** A statement in two: the change in its WITH, and the rest over the rows that the change returns. */
export interface SplitStatement {
  readonly change: RawStatement;
  readonly rest: Model;
}

/**
 * `WITH x AS (UPDATE … RETURNING …) …` where the change concerns more than one server. The rest doesn't see what is changed: its
 * motions run first, and on the coordinator it reads nothing that the change writes.
 */
export function splitChange(model: Model): SplitStatement {
  const { root, source } = model;
  const target = model.relations.find((item) => item.isTarget && item.block !== root && item.role !== 'local');
  const refused = (what: string) => unsupported('PH002', `a data-modifying CTE on ${target?.name} ${what}`);
  const changes = model.blocks.filter((block) => block !== root && isChange(block));
  const child = root.children.find((each) => each.via === 'cte' && each.block === target?.block);
  if (!target || child?.via !== 'cte' || child.block.source !== source || changes.length > 1) {
    throw refused('beside another one, or inside another query');
  }
  if (root.kind !== 'select' && root.kind !== 'set operation' && root.kind !== 'values' && root.kind !== 'insert') {
    throw refused('before another change');
  }
  const inside = allBlocks(child.block);
  const readsCte = inside.some((block) =>
    block.from.flatMap(leavesOf).some((leaf) => leaf.kind === 'other' && leaf.what === 'cte'),
  );
  if (readsCte) throw refused('that reads another CTE');
  if (target.table?.columns.some(({ collation }) => collation !== null)) throw refused('with collations of its own');
  const isRest = (item: RelationItem) => !isInside(item.block, child.block);
  const relations = model.relations.filter(isRest);
  const isReference = target.role === 'reference';
  if (isReference && relations.some((item) => item.role === 'local' && item.relation?.kind !== 'table')) {
    throw refused('that the rest of the statement may read');
  }
  const query = cteQuery(model, child.name);
  const returns = 'returningClause' in child.block.node && child.block.node.returningClause !== undefined;
  const edit: PlanEdit = { ...query.extent, parts: returns ? ['SELECT * FROM ', { motion: changedRows }] : ['SELECT'] };
  return {
    change: {
      node: query.node,
      text: textBetween(source, query.extent.start, query.extent.end),
      offsetBytes: source.offsetBytes + query.extent.start,
    },
    rest: {
      ...model,
      relations,
      blocks: model.blocks.filter((block) => !inside.includes(block)),
      edits: [...(model.edits ?? []), edit],
      ...(isReference ? { readsBefore: true as const } : {}),
    },
  };
}

/** The hole for the rows that a change returned. */
export const changedRows = -2;

/** The rest's plan, once the change has run. */
export function afterChange(rest: Plan, change: Plan, model: Model, context: PlanContext): Plan {
  const first: ChangeFirst = { plan: change, checked: withoutChanges(model, context) };
  return {
    ...rest,
    reason: `${rest.reason}; the change in WITH goes first`,
    change: first,
    ...{ writes: true, valueIndependent: false },
  };
}

function cteQuery({ root, source }: Model, name: string): { node: Node; extent: Extent } {
  const ctes = 'withClause' in root.node ? (root.node.withClause?.ctes ?? []) : [];
  const clause = ctes.find((node) => 'CommonTableExpr' in node && node.CommonTableExpr.ctename === name);
  const cte = clause && 'CommonTableExpr' in clause ? clause.CommonTableExpr : undefined;
  if (!cte?.ctequery) throw unsupported('PH002', `a data-modifying CTE ${name}`);
  const tokens = source.tokens();
  let open = tokenAt(tokens, positionOf(source, cte.location));
  while (tokens[open]!.text !== 'as') open = tokens[open]!.text === '(' ? closing(tokens, open) + 1 : open + 1;
  while (tokens[open]!.text !== '(') open++;
  const close = closing(tokens, open);
  return { node: cte.ctequery, extent: { start: tokens[open + 1]!.start, end: tokens[close - 1]!.end } };
}
