import type { Node, WithClause } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { figureColumnName } from '../sql/column-name.ts';
import { parseStatements, type RawStatement } from '../sql/parse.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { textBetween } from '../sql/source.ts';
import { nameParts } from '../sql/walk.ts';
import { analyze } from './analyze.ts';
import { withoutChanges } from './change-pieces.ts';
import type { PlanContext } from './context.ts';
import { type Extent, relationExtent } from './edits.ts';
import { type Block, isChange, isInside, leavesOf, type Model, type RelationItem } from './model.ts';
import { allBlocks, isDeterministic } from './sublink.ts';
import { itemsOfWith } from './with-text.ts';

/** A statement in parts: the changes in its WITH, in order, and the rest, over the rows that the changes return. */
export interface SplitStatement {
  readonly changes: readonly Model[];
  readonly rest: Model;
}

interface Item {
  readonly name: string;
  readonly block: Block;
  /** Its whole text, and that of its query. */
  readonly text: Extent;
  readonly query: Extent;
  readonly isChange: boolean;
  readonly target: RelationItem | null;
}

/**
 * `WITH x AS (UPDATE … RETURNING …), … …` where a change concerns more than one server. No part sees what another one changes: all that they
 * read elsewhere travels before the first change, and what a part reads in its place is nothing that a part before it writes
 * (`Model.readsBefore`).
 */
export function splitChanges(model: Model, context: PlanContext): SplitStatement {
  const items = itemsOf(model);
  const main = mainExtent(model, items);
  const changes = items.flatMap((item, index) => (item.isChange ? [{ item, index }] : []));
  const split: Split = { model, context, items };
  const used = new Map<Item, number>();
  const partOf = (block: Block, text: Extent, end: number): Model => {
    const needed = neededItems(block, items, end, split);
    for (const item of needed) used.set(item, (used.get(item) ?? 0) + 1);
    return restated(split, text, needed, items.slice(0, end));
  };
  const parts = changes.map(({ item, index }) => partOf(item.block, item.query, index));
  const rest = partOf(model.root, main, items.length);
  for (const [item, times] of used) {
    const unsteady =
      times > 1 && !item.isChange && !allBlocks(item.block).every((block) => isDeterministic(block, context));
    if (unsteady) throw refused(split, `beside ${item.name}, which several parts read and which may differ each time`);
  }
  return { changes: parts, rest };
}

/** The hole for the rows that a change returned, by its place among the changes. */
export function changedRows(place: number): number {
  return -2 - place;
}

/** The other way round; null: the hole is for something else. */
export function changeOfHole(motion: number): number | null {
  return motion <= -2 ? -2 - motion : null;
}

interface Split {
  readonly model: Model;
  readonly context: PlanContext;
  readonly items: readonly Item[];
}

function refused({ items }: Pick<Split, 'items'>, what: string) {
  const target = items.find((item) => item.target && item.target.role !== 'local')?.target;
  return unsupported('PH002', `a data-modifying CTE on ${target?.name} ${what}`);
}

function itemsOf(model: Model): Item[] {
  const { root, source } = model;
  const clause: WithClause | undefined = 'withClause' in root.node ? root.node.withClause : undefined;
  const texts = itemsOfWith(source, clause);
  const children = root.children.filter((child) => child.via === 'cte');
  const items = children.map((child, i): Item => {
    const target = model.relations.find((item) => item.isTarget && item.block === child.block) ?? null;
    return { name: child.name, block: child.block, ...texts[i]!, isChange: isChange(child.block), target };
  });
  const isOutside = (item: RelationItem) =>
    item.isTarget && item.block !== root && !items.some(({ target }) => target === item);
  if (model.relations.some(isOutside)) throw refused({ items }, 'inside another query');
  for (const { target, block } of items) {
    const returns = 'returningClause' in block.node && block.node.returningClause !== undefined;
    if (!target || !returns) continue;
    if (target.table?.columns.some(({ collation }) => collation !== null)) {
      throw refused({ items }, 'with collations of its own');
    }
  }
  return items;
}

function mainExtent({ source }: Model, items: readonly Item[]): Extent {
  const last = items.at(-1);
  assert(last, 'a statement with a change in WITH has a WITH');
  return { start: last.text.end, end: source.bytes.length };
}

/** What a part reads of the items before `end`, in order. */
function neededItems(block: Block, items: readonly Item[], end: number, split: Split): Item[] {
  const needed = new Set<Item>();
  const visit = (query: Block, isMain: boolean) => {
    for (const each of allBlocks(query)) {
      // The other items are children of the statement too.
      if (isMain && items.some((item) => isInside(each, item.block))) continue;
      for (const leaf of each.from.flatMap(leavesOf)) {
        if (leaf.kind !== 'other' || leaf.what !== 'cte' || !('RangeVar' in leaf.node)) continue;
        const { relname } = leaf.node.RangeVar;
        const index = items.findIndex(({ name }) => name === relname);
        const item = items[index];
        if (!item || needed.has(item)) continue;
        if (index >= end && (item.isChange || index > end)) throw refused(split, 'that reads what stands behind it');
        needed.add(item);
        if (!item.isChange) visit(item.block, false);
      }
    }
  };
  visit(block, block === split.model.root);
  return items.filter((item) => needed.has(item));
}

/** A part as a statement of its own, in which the rows that changes return are read from holes. */
function restated(split: Split, main: Extent, needed: readonly Item[], before: readonly Item[]): Model {
  const { model, context } = split;
  const { source } = model;
  const text = ({ start, end }: Extent) => textBetween(source, start, end);
  const changes = split.items.filter((item) => item.isChange);
  const written = (item: Item) => text(item.text);
  const withHole = (item: Item) => {
    const place = changes.indexOf(item);
    const head = text({ start: item.text.start, end: item.query.start });
    const rows = `SELECT ${outputNames(item)} FROM ${quoteIdentifier(`${holePrefix}${place}`)}`;
    return item.isChange ? `${head}${rows}${text({ start: item.query.end, end: item.text.end })}` : written(item);
  };
  const recursive = 'withClause' in model.root.node && model.root.node.withClause?.recursive ? 'RECURSIVE ' : '';
  const compose = (itemText: (item: Item) => string) =>
    needed.length === 0 ? text(main) : `WITH ${recursive}${needed.map(itemText).join(', ')} ${text(main)}`;
  const own = modelOf(compose(withHole), context);
  const asWritten = withoutChanges(modelOf(compose(written), context), context);
  const holes = own.relations.filter((item) => holeOf(item) !== null);
  return {
    ...own,
    ...{ asWritten, readsBefore: writtenBefore(split, own, before) },
    relations: own.relations.filter((item) => !holes.includes(item)),
    edits: holes.map((item) => ({
      ...relationExtent(own.source, item.node),
      parts: [{ motion: changedRows(holeOf(item)!) }],
    })),
  };
}

const holePrefix = 'pgherd changed ';

function holeOf({ node, relation }: RelationItem): number | null {
  const name = node.relname ?? '';
  return relation === null && name.startsWith(holePrefix) ? Number(name.slice(holePrefix.length)) : null;
}

function modelOf(text: string, context: PlanContext): Model {
  const [statement] = parseStatements(text);
  assert(statement, 'a part of a statement is one');
  return analyze(statement.node as Node, statement as RawStatement, context);
}

/** The columns that a change returns, so far as they are known. */
function outputNames({ block, target }: Item): string {
  const { returningClause } = block.node as { returningClause?: { exprs?: Node[] } };
  const names: string[] = [];
  for (const node of returningClause?.exprs ?? []) {
    if (!('ResTarget' in node) || !node.ResTarget.val) return '*';
    const { val, name } = node.ResTarget;
    const isStar = 'ColumnRef' in val && nameParts(val.ColumnRef.fields).at(-1) === null;
    if (isStar && (block.from.length > 1 || !target?.columns)) return '*';
    if (isStar) names.push(...target!.columns!);
    else names.push(name ?? figureColumnName(val));
  }
  return new Set(names).size === names.length && names.length > 0 ? names.map(quoteIdentifier).join(', ') : '*';
}

/** Relations that the changes before a part write, and that the part must not read as they are then. */
function writtenBefore(split: Split, own: Model, before: readonly Item[]): ReadonlySet<number> {
  const written = before.flatMap(({ target, isChange: changes }) => (changes && target ? [target] : []));
  const isHere = written.some(({ role }) => role !== 'distributed');
  const unclear = own.relations.find(
    ({ role, relation }) => role === 'local' && relation !== null && relation.kind !== 'table',
  );
  if (isHere && unclear) throw refused(split, `that ${unclear.name} may read`);
  return new Set(written.map(({ relation }) => relation?.oid ?? 0));
}
