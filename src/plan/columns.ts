import type { ColumnRef, Node } from '@pgsql/types';
import { unsupported } from '../core/errors.ts';
import { nameParts } from '../sql/walk.ts';
import { type Block, joinsOf, leavesOf, type Model, type RelationItem } from './model.ts';
import { bind, findAlias } from './resolve.ts';
import { segmentItems, segmentReferences, systemColumnOwner } from './segments.ts';

/** What a statement may need of a relation. Never less than it does: a name counts wherever it stands. */
export interface NeededColumns {
  /** By the relation's own names, in its order. */
  readonly names: readonly string[];
  /** `*` or a whole-row reference: nothing may be added to the columns. */
  readonly whole: boolean;
  readonly tableoid: boolean;
  /** Where each row is: see segments.ts. */
  readonly segment: boolean;
}

export function neededColumns(model: Model): (item: RelationItem) => NeededColumns {
  const mentioned = mentionedNames(model);
  const whole = wholeRelations(model);
  const withOid = relationsWithTableoid(model);
  const withSegment = segmentItems(model);
  return (item) => {
    const columns = item.relation?.columns ?? [];
    const all = whole.has(item) || item.node.alias?.colnames !== undefined || isWholeRow(item, mentioned);
    const needed = all ? columns : columns.filter((column) => mentioned.has(column.name));
    const tableoid = withOid.has(item);
    if (all && tableoid) throw unsupported('PH007', `tableoid beside all columns of ${item.name}`);
    return { names: needed.map((column) => column.name), whole: all, tableoid, segment: withSegment.has(item) };
  };
}

/**
 * The columns of a relation that are mentioned by references of the statement that count; null: a whole row is. A name counts wherever
 * it stands.
 */
export function neededNames(
  model: Model,
  item: RelationItem,
  counts: (ref: ColumnRef, block: Block) => boolean,
): string[] | null {
  const names = new Set<string>();
  let asksRow = false;
  const inExists = existsBlocks(model);
  for (const block of model.blocks) {
    const ignored = inExists.has(block) ? targetRefs(block) : new Set<ColumnRef>();
    for (const ref of block.columnRefs) {
      if (!counts(ref, block)) continue;
      const parts = nameParts(ref.fields);
      const last = parts.at(-1);
      if (typeof last === 'string') {
        names.add(last);
        asksRow ||= last === item.name && bind(ref, block) === null;
      } else if (!ignored.has(ref) && (parts.at(-2) === item.name || block === item.block)) return null;
    }
    for (const join of joinsOf(block.from)) for (const name of join.using) names.add(name);
  }
  const columns = (item.relation?.columns ?? []).map((column) => column.name);
  if (asksRow && !columns.includes(item.name)) return null;
  return columns.filter((name) => names.has(name));
}

function mentionedNames(model: Model): ReadonlySet<string> {
  const names = new Set<string>();
  for (const block of model.blocks) {
    for (const ref of block.columnRefs) {
      const last = nameParts(ref.fields).at(-1);
      if (typeof last === 'string') names.add(last);
    }
    for (const join of joinsOf(block.from)) for (const name of join.using) names.add(name);
  }
  return names;
}

/** A reference to the relation's name that isn't one of its columns means the row. */
function isWholeRow(item: RelationItem, mentioned: ReadonlySet<string>): boolean {
  return mentioned.has(item.name) && !item.columns?.includes(item.name);
}

function wholeRelations(model: Model): ReadonlySet<RelationItem> {
  const whole = new Set<RelationItem>();
  const addAll = (items: Block['from']) => {
    for (const leaf of items.flatMap(leavesOf)) if (leaf.kind === 'relation') whole.add(leaf);
  };
  const exists = existsBlocks(model);
  for (const block of model.blocks) {
    const ignored = exists.has(block) ? targetRefs(block) : new Set<ColumnRef>();
    for (const ref of block.columnRefs) {
      const names = nameParts(ref.fields);
      if (names.at(-1) !== null || ignored.has(ref)) continue;
      const qualifier = names.at(-2);
      if (qualifier === undefined) addAll(block.from);
      else for (const item of model.relations) if (item.name === qualifier) whole.add(item);
      if (typeof qualifier === 'string') {
        const join = findAlias(block.from, qualifier);
        if (join?.kind === 'join') addAll([join]);
      }
    }
    for (const join of joinsOf(block.from)) if (join.natural || join.renamesColumns) addAll([join]);
  }
  return whole;
}

/** What EXISTS selects doesn't matter. */
function existsBlocks(model: Model): ReadonlySet<Block> {
  const children = model.blocks.flatMap((block) => block.children);
  return new Set(
    children.flatMap((child) =>
      child.via === 'sublink' && child.link?.subLinkType === 'EXISTS_SUBLINK' && child.block.kind === 'select'
        ? [child.block]
        : [],
    ),
  );
}

function targetRefs(block: Block): ReadonlySet<ColumnRef> {
  const targets: readonly Node[] = block.kind === 'select' ? (block.node.targetList ?? []) : [];
  return new Set(
    targets.flatMap((target) =>
      'ResTarget' in target && target.ResTarget.val && 'ColumnRef' in target.ResTarget.val
        ? [target.ResTarget.val.ColumnRef]
        : [],
    ),
  );
}

const addresses = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax']);

function relationsWithTableoid(model: Model): ReadonlySet<RelationItem> {
  const found = new Set<RelationItem>();
  for (const block of model.blocks) {
    const ofSegments = segmentReferences(block);
    for (const ref of block.columnRefs) {
      const names = nameParts(ref.fields);
      const name = names.at(-1) ?? '';
      if (ofSegments.has(ref)) continue;
      if (name !== 'tableoid' && !addresses.has(name)) continue;
      const item = systemColumnOwner(names, block);
      if (item?.role !== 'distributed' || item.isTarget) continue;
      if (name !== 'tableoid') throw unsupported('PH007', `${name} of a table on several nodes`);
      found.add(item);
    }
  }
  return found;
}
