import type { ColumnRef } from '@pgsql/types';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { positionOf, type SqlSource } from '../sql/source.ts';
import { nameParts } from '../sql/walk.ts';
import type { PlanEdit } from './edits.ts';
import { type Block, leavesOf, type Model, type RelationItem } from './model.ts';
import { bind, columnEntry } from './resolve.ts';

/**
 * Grouped by a table's primary key, its other columns may stand ungrouped (functional dependency). The rows that take the
 * table's place have no such key, so those columns join the GROUP BY: the groups stay the same.
 */
export function groupingEdits(
  model: Model,
  isReplaced: (item: RelationItem) => boolean,
): { source: SqlSource; edit: PlanEdit }[] {
  return model.blocks.flatMap((block) => {
    const refs = groupedRefs(block);
    const items = block.from.flatMap(leavesOf).filter((leaf) => leaf.kind === 'relation' && isReplaced(leaf));
    return (items as RelationItem[]).flatMap((item) => {
      const edit = groupingEdit(item, refs, block, model);
      return edit ? [{ source: block.source, edit }] : [];
    });
  });
}

interface GroupedRef {
  readonly ref: ColumnRef;
  /** The GROUP BY item itself: a reference, or the number or name of an output. */
  readonly location: number | undefined;
}

function groupedRefs(block: Block): GroupedRef[] {
  if (block.kind !== 'select') return [];
  const { groupClause = [], targetList = [] } = block.node;
  return groupClause.flatMap((node): GroupedRef[] => {
    if ('ColumnRef' in node) return [{ ref: node.ColumnRef, location: node.ColumnRef.location }];
    if (!('A_Const' in node) || !node.A_Const.ival) return [];
    const target = targetList[(node.A_Const.ival.ival ?? 0) - 1];
    const value = target && 'ResTarget' in target ? target.ResTarget.val : undefined;
    return value && 'ColumnRef' in value ? [{ ref: value.ColumnRef, location: node.A_Const.location }] : [];
  });
}

/** Types that GROUP BY doesn't take: json, xml, the geometric ones, jsonpath. */
const ungroupable = new Set([114, 142, 600, 601, 602, 603, 604, 628, 718, 4072]);

function groupingEdit(item: RelationItem, refs: readonly GroupedRef[], block: Block, model: Model): PlanEdit | null {
  const key = item.table?.primaryKey ?? [];
  const columnOf = (ref: ColumnRef, scope: Block) => {
    const bound = bind(ref, scope);
    return bound?.item === item ? columnEntry(bound) : null;
  };
  const grouped = refs.map(({ ref }) => columnOf(ref, block)?.name);
  if (key.length === 0 || !key.every((name) => grouped.includes(name))) return null;
  const place = refs.find(({ ref }) => columnOf(ref, block) !== null);
  const used = new Set(
    model.blocks
      .filter((each) => isWithin(each, block))
      .flatMap((each) => each.columnRefs.flatMap((ref) => starColumns(ref, each, item) ?? columnOf(ref, each) ?? []))
      .filter((column) => !ungroupable.has(column.typeOid) && !grouped.includes(column.name)),
  );
  const names = [...used].map((column) => {
    const index = item.relation?.columns.indexOf(column) ?? -1;
    return `${quoteIdentifier(item.name)}.${quoteIdentifier(item.columns?.[index] ?? '')}, `;
  });
  if (!place || names.length === 0) return null;
  const start = positionOf(block.source, place.location);
  return { start, end: start, parts: names };
}

/** All columns, where `*` or `t.*` stands for them. */
function starColumns(ref: ColumnRef, scope: Block, item: RelationItem): readonly ColumnEntry[] | null {
  const names = nameParts(ref.fields);
  if (names.at(-1) !== null) return null;
  const qualifier = names.at(-2);
  const isMeant = qualifier === undefined ? item.block === scope : qualifier === item.name;
  return isMeant ? (item.relation?.columns ?? []) : [];
}

function isWithin(block: Block, outer: Block): boolean {
  for (let scope: Block | null = block; scope; scope = scope.scopeParent) if (scope === outer) return true;
  return false;
}
