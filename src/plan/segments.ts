import type { ColumnRef, FuncCall } from '@pgsql/types';
import { unsupported } from '../core/errors.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { segmentFunction } from '../sql/segment-function.ts';
import { nameParts } from '../sql/walk.ts';
import { callExtent, nameEdit } from './edits.ts';
import { type Block, joinsOf, leavesOf, type Model, type RelationItem } from './model.ts';
import { expandStar, findAlias, wholeRow } from './resolve.ts';
import { isRenamed, type SourceEdit } from './rewrite.ts';

/*
 * `pgherd.gp_segment_id(t.tableoid)`, which `gp_segment_id` has become before a statement is planned (segment-columns.ts). On a node
 * the function gives the node's own number, so what is sent there may stay as it is. Where rows travel, their node's number
 * travels with them.
 */

/** Under which a row's node travels. */
export const segmentColumn = 'pgherd_segment';

/** The reference to `tableoid` in such a call; null for any other call. */
export function segmentReference({ funcname, args }: FuncCall): ColumnRef | null {
  if (nameParts(funcname).join('.') !== `pgherd.${segmentFunction}`) return null;
  const [argument, ...more] = args ?? [];
  return argument && 'ColumnRef' in argument && more.length === 0 ? argument.ColumnRef : null;
}

/** The references of a block that stand in such calls. */
export function segmentReferences(block: Block): ReadonlySet<ColumnRef> {
  const refs = block.functions.map(segmentReference).filter((ref) => ref !== null);
  // Copies of a tree would have other objects: a reference is known by its place.
  const places = new Set(refs.map((ref) => ref.location));
  return new Set(block.columnRefs.filter((ref) => refs.includes(ref) || places.has(ref.location)));
}

/** The relation that a system column is of. */
export function systemColumnOwner(names: readonly (string | null)[], block: Block): RelationItem | null {
  const qualifier = names.at(-2);
  for (let scope: Block | null = block; scope; scope = scope.scopeParent) {
    const found = typeof qualifier === 'string' ? findAlias(scope.from, qualifier) : scope.from[0];
    const leaf = found ? leavesOf(found).find((each) => each.kind === 'relation') : undefined;
    if (leaf?.kind === 'relation') return leaf;
  }
  return null;
}

export function segmentOwner(call: FuncCall, block: Block): RelationItem | null {
  const ref = segmentReference(call);
  return ref && systemColumnOwner(nameParts(ref.fields), block);
}

/** Why such calls can't be answered on nodes; null: they can. Every copy of a reference table would have another answer. */
export function segmentObstacle(block: Block): string | null {
  for (const call of block.functions) {
    if (segmentReference(call) === null) continue;
    const owner = segmentOwner(call, block);
    if (owner?.role !== 'distributed') return `gp_segment_id of ${owner?.name ?? 'a table'} is the coordinator's`;
  }
  return null;
}

/** Relations of which it is asked where their rows are. */
export function segmentItems(model: Model): ReadonlySet<RelationItem> {
  const owners = model.blocks.flatMap((block) => block.functions.map((call) => segmentOwner(call, block)));
  return new Set(owners.filter((item) => item !== null));
}

/** Where relations have been replaced by their rows: the calls become the column that travelled, which no `*` shows. */
export function segmentEdits(model: Model, isReplaced: (item: RelationItem) => boolean): SourceEdit[] {
  const items = new Set([...segmentItems(model)].filter(isReplaced));
  if (items.size === 0) return [];
  return model.blocks.flatMap((block) => [...callEdits(block, items), ...starEdits(block, items)]);
}

function callEdits(block: Block, items: ReadonlySet<RelationItem>): SourceEdit[] {
  const { source } = block;
  const changed = new Set<unknown>();
  const columns = block.functions.flatMap((call): SourceEdit[] => {
    const item = segmentOwner(call, block);
    if (!item || !items.has(item)) return [];
    changed.add(call);
    const column = `${quoteIdentifier(item.name)}.${segmentColumn}`;
    return [{ source, edit: { ...callExtent(source, call.location), parts: [column] } }];
  });
  const named = block.targets.filter((target) => isRenamed(target, changed));
  return [...columns, ...named.map((target) => ({ source, edit: nameEdit(source, target) }))];
}

function starEdits(block: Block, items: ReadonlySet<RelationItem>): SourceEdit[] {
  const inside = (from: Block['from']) =>
    from.flatMap(leavesOf).some((leaf) => leaf.kind === 'relation' && items.has(leaf));
  const merged = joinsOf(block.from).find((join) => join.natural && inside([join]));
  if (merged) throw refused('NATURAL JOIN');
  const { source } = block;
  return block.columnRefs.flatMap((ref): SourceEdit[] => {
    const row = wholeRow(ref, block);
    if (row && items.has(row)) throw refused('whole rows');
    const fields = nameParts(ref.fields);
    if (fields.at(-1) !== null) return [];
    const qualifier = fields.at(-2);
    const named = typeof qualifier === 'string' ? findAlias(block.from, qualifier) : null;
    if (!inside(named ? [named] : qualifier === undefined ? block.from : [])) return [];
    return [{ source, edit: { ...callExtent(source, ref.location), parts: [starList(fields, block)] } }];
  });
}

function starList(fields: readonly (string | null)[], block: Block): string {
  const outputs = expandStar(fields, block);
  const list = outputs?.map(({ name, bound }) => {
    if (!bound?.item.name) throw refused(`the column ${name} of *`);
    return `${quoteIdentifier(bound.item.name)}.${quoteIdentifier(bound.column)} AS ${quoteIdentifier(name)}`;
  });
  if (!list) throw refused('a * whose columns are not certain');
  return list.join(', ');
}

function refused(what: string) {
  return unsupported('PH042', `gp_segment_id beside ${what}, where rows travel to the coordinator`);
}
