import type { ColumnRef, Node, SelectStmt } from '@pgsql/types';
import { columnRef, fingerprint, mapNodes, nameParts } from '../../sql/walk.ts';
import { isAligned, visible } from '../alignment.ts';
import type { PlanContext } from '../context.ts';
import type { Fact } from '../facts.ts';
import { groupingEdits } from '../grouping.ts';
import {
  type Block,
  type FromItem,
  isInside,
  joinsOf,
  type LeafItem,
  leavesOf,
  type Model,
  type SelectBlock,
} from '../model.ts';
import { type Bound, bind, columnsOf, outputColumns } from '../resolve.ts';
import { isUncorrelated } from '../sublink.ts';
import { boundType, type EqualPair, equalPairs, equalTo } from './pairs.ts';
import type { StagedQuery } from './query.ts';
import { identicalTypes, stagedRange } from './query.ts';
import type { StageQuestion } from './question.ts';
import { changeTree, conditionsOf, equality, fieldsOf, leavesIn, selectOf, target, whereOf } from './tree.ts';

/** A member of a FROM list, or one side of an outer join. */
export interface Side {
  readonly item: FromItem;
  readonly node: Node;
}

/** Sides that move together, as one query whose rows take their place. */
export interface Unit {
  readonly sides: readonly Side[];
  readonly leaves: ReadonlySet<LeafItem>;
  readonly query: Node;
  /** What the rest of the statement needs of it, by the names that the query gives them. */
  readonly outputs: readonly { readonly name: string; readonly bound: Bound }[];
  readonly names: readonly string[];
  /** References keep their qualifier; null: they are written anew. */
  readonly alias: string | null;
  /** Conditions of the block's WHERE that the query carries out. */
  readonly done: ReadonlySet<Node>;
}

type Refused = { readonly reason: string };

/** `conditions`: those of WHERE when the sides are members of the FROM list, of ON when they are the side that may be null-extended. */
export function createUnit(
  sides: readonly Side[],
  block: SelectBlock,
  conditions: readonly Fact[],
  question: StageQuestion,
): Unit | Refused {
  const { model } = question;
  const items = sides.map(({ item }) => item);
  const leaves = new Set(leavesIn(items));
  const facts = conditions.filter((fact) => concernsOnly(fact, leaves));
  const done = new Set(facts.map(({ expression }) => expression));
  const needed = neededOf(leaves, block, done, model);
  if ('reason' in needed) return needed;
  const obstacle = looksAround(sides, leaves, block, model) ?? obstacleIn(leaves, block, model);
  if (obstacle) return { reason: obstacle };
  const [only] = items;
  if (items.length === 1 && only?.kind === 'query' && only.name) return queryUnit(only, sides, leaves, facts, needed);
  const isLeaf = items.length === 1 && only?.kind === 'relation';
  const implied = isLeaf ? [] : impliedEqualities(items, question);
  const equal = [...implied.map(({ pair }) => pair), ...equalPairs(facts, question.context)];
  const outputs = isLeaf
    ? needed.map((bound) => ({ name: bound.column, bound }))
    : namedOnce(needed, equal, columnsOfUsing(items, block), question.context);
  if (outputs === null) return { reason: 'USING with rows that are brought together' };
  const names = namesOf(firstOfEach(outputs));
  const filters = isLeaf
    ? relationFilters(only, question)
    : [
        ...done,
        ...implied.map(({ condition }) => condition),
        ...items.flatMap((item) => (item.kind === 'relation' ? relationFilters(item, question, done) : [])),
      ];
  const query = selectOf({
    targetList: targetsOf(firstOfEach(outputs)),
    fromClause: sides.map(({ node }) => node),
    ...whereOf(filters),
  });
  return {
    sides,
    leaves,
    query,
    outputs,
    names,
    alias: isLeaf ? only.name : null,
    done,
  };
}

/** Names that joins around the items know their columns by. */
function columnsOfUsing(items: readonly FromItem[], block: SelectBlock): ReadonlySet<string> {
  const inside = new Set(joinsOf(items));
  return new Set(joinsOf(block.from).flatMap((join) => (inside.has(join) ? [] : join.using)));
}

function queryUnit(
  item: Extract<FromItem, { kind: 'query' }>,
  sides: readonly Side[],
  leaves: ReadonlySet<LeafItem>,
  facts: readonly Fact[],
  needed: readonly Bound[],
): Unit | Refused {
  if (item.lateral && !isUncorrelated(item.block)) return { reason: 'a lateral subquery reads what stands beside it' };
  const all = outputColumns(item)?.map(({ name }) => name);
  if (!all || new Set(all).size < all.length) return { reason: 'the columns of a subquery in FROM are not known' };
  const rest = { sides, leaves, alias: item.name };
  if (facts.length === 0) {
    const outputs = all.map((name) => ({ name, bound: { item, column: name } }));
    return { ...rest, query: { SelectStmt: item.block.node as SelectStmt }, outputs, names: all, done: new Set() };
  }
  const outputs = needed.map((bound) => ({ name: bound.column, bound }));
  const query = selectOf({
    targetList: targetsOf(outputs),
    fromClause: sides.map(({ node }) => node),
    ...whereOf(facts.map(({ expression }) => expression)),
  });
  return { ...rest, query, outputs, names: namesOf(outputs), done: new Set(facts.map(({ expression }) => expression)) };
}

/**
 * Columns that are alike in every row, and of one type, travel as one: a second one would look like a condition more. `kept` are names
 * that are known outside; null: two columns would have one of them.
 */
function namedOnce(
  needed: readonly Bound[],
  pairs: readonly EqualPair[],
  kept: ReadonlySet<string>,
  context: PlanContext,
): Unit['outputs'] | null {
  const isSame = (a: Bound, b: Bound) => a.item === b.item && a.column === b.column;
  const typeOf = (bound: Bound) => {
    const type = boundType(bound, context);
    return type && identicalTypes.has(type.typeOid) ? type.typeName : undefined;
  };
  const outputs: { name: string; bound: Bound }[] = [];
  for (const [i, bound] of needed.entries()) {
    const equal = equalTo(bound, pairs).filter((each) => typeOf(each) !== undefined && typeOf(each) === typeOf(bound));
    const known = outputs.find((output) => equal.some((each) => isSame(each, output.bound)));
    const name = kept.has(bound.column) ? bound.column : (known?.name ?? `pgherd_c${i}`);
    if (outputs.some((output) => output.name === name && output !== known)) return null;
    outputs.push({ name, bound });
  }
  return outputs;
}

/** Without those that travel as another one. */
function firstOfEach(outputs: Unit['outputs']): Unit['outputs'] {
  return outputs.filter(({ name }, i) => outputs.findIndex((other) => other.name === name) === i);
}

/** A relation has one column at least. */
const rowName = 'pgherd_row';

function namesOf(outputs: Unit['outputs']): string[] {
  return outputs.length === 0 ? [rowName] : outputs.map(({ name }) => name);
}

function targetsOf(outputs: Unit['outputs']): Node[] {
  if (outputs.length === 0) return [target(rowName, { A_Const: { ival: { ival: 1 } } })];
  return outputs.map(({ name, bound }) => target(name, columnRef(bound.item.name ?? '', bound.column)));
}

export function concernsOnly(fact: Fact, leaves: ReadonlySet<LeafItem>): boolean {
  const bounds = [...fact.columns.values()];
  return !fact.nested && bounds.length > 0 && bounds.every((bound) => bound !== null && leaves.has(bound.item));
}

/** What is known of a relation's rows from conditions that concern it alone, wherever they stand, but for those that are `known`. */
export function relationFilters(
  item: LeafItem,
  { facts }: StageQuestion,
  known: ReadonlySet<Node> = new Set(),
): Node[] {
  if (item.kind !== 'relation') return [];
  const own = (facts.get(item) ?? []).filter(
    (fact) => concernsOnly(fact, new Set([item])) && !known.has(fact.expression),
  );
  const unique = new Map(own.map((fact) => [fingerprint(fact.expression), ownNames(fact, item.name)]));
  return [...unique.values()];
}

function ownNames(fact: Fact, name: string): Node {
  return mapNodes(fact.expression, (kind, fields: never) => {
    const bound = kind === 'ColumnRef' ? fact.columns.get(fields as ColumnRef) : null;
    return bound ? columnRef(name, bound.column) : undefined;
  });
}

/** Relations of one cluster that only a third one ties together are joined by their own keys. */
function impliedEqualities(
  items: readonly FromItem[],
  { facts, context }: StageQuestion,
): { readonly condition: Node; readonly pair: EqualPair }[] {
  const relations = items.flatMap((item) => (item.kind === 'relation' && item.table ? [item] : []));
  const [first, ...rest] = relations;
  if (first?.table?.distribution.kind !== 'distributed') return [];
  const { keys, group } = first.table.distribution;
  return rest.flatMap((item) => {
    const own = item.table?.distribution;
    if (own?.kind !== 'distributed' || own.group.id !== group.id) return [];
    if (!isAligned(item, first, facts.get(item) ?? [], context)) return [];
    return own.keys.map((key, i) => {
      const pair = [
        { item, column: visible(item, key.name) },
        { item: first, column: visible(first, keys[i]!.name) },
      ] as const;
      const [left, right] = pair.map(({ item: { name }, column }) => columnRef(name, column));
      return { condition: equality(left!, right!), pair };
    });
  });
}

/** The columns of leaves that the statement refers to, but for what is done within. */
function neededOf(
  leaves: ReadonlySet<LeafItem>,
  block: SelectBlock,
  done: ReadonlySet<Node>,
  model: Model,
): Bound[] | Refused {
  const inside = refsIn([...done]);
  const aliases = sortAliases(block);
  const needed: Bound[] = [];
  const add = (bound: Bound) => {
    if (!needed.some(({ item, column }) => item === bound.item && column === bound.column)) needed.push(bound);
  };
  for (const each of model.blocks) {
    if (!isInside(each, block)) continue;
    for (const ref of each.columnRefs) {
      if (inside.has(ref) || aliases.has(ref) || isExistsTarget(ref, each, model)) continue;
      const bound = bind(ref, each);
      if (bound && leaves.has(bound.item)) add(bound);
      else if (!bound && mayMean(ref, leaves)) return { reason: 'a reference that can not be told apart' };
    }
  }
  for (const join of joinsOf(block.from)) {
    for (const leaf of leavesOf(join)) {
      if (!leaves.has(leaf)) continue;
      if (join.natural) return { reason: 'a NATURAL JOIN' };
      for (const column of join.using) if (columnsOf(leaf)?.includes(column)) add({ item: leaf, column });
    }
  }
  return needed;
}

export function refsIn(nodes: readonly Node[]): ReadonlySet<ColumnRef> {
  const refs = new Set<ColumnRef>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) visit(item);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    for (const [key, child] of Object.entries(value)) {
      if (key === 'ColumnRef') refs.add(child as ColumnRef);
      else visit(child);
    }
  };
  visit(nodes);
  return refs;
}

/** Items of ORDER BY and DISTINCT ON that are an output's name, which comes before a column's. */
export function sortAliases(block: SelectBlock): ReadonlySet<ColumnRef> {
  const { sortClause = [], distinctClause = [], targetList = [] } = block.node;
  const names = targetList.map((item) => ('ResTarget' in item ? item.ResTarget.name : undefined));
  return new Set(
    [...sortClause, ...distinctClause].flatMap((item) => {
      const node = 'SortBy' in item ? item.SortBy.node : item;
      if (!node || !('ColumnRef' in node)) return [];
      const parts = nameParts(node.ColumnRef.fields);
      return parts.length === 1 && names.includes(parts[0] ?? undefined) ? [node.ColumnRef] : [];
    }),
  );
}

function isExistsTarget(ref: ColumnRef, block: Block, model: Model): boolean {
  if (!ref.fields?.some((field) => 'A_Star' in field)) return false;
  const child = model.blocks.flatMap((each) => each.children).find((each) => each.block === block);
  return child?.via === 'sublink' && child.link?.subLinkType === 'EXISTS_SUBLINK';
}

/** A reference of unknown meaning might be to one of these. */
export function mayMean(ref: ColumnRef, leaves: ReadonlySet<LeafItem>): boolean {
  const parts = nameParts(ref.fields);
  const name = parts.at(-1) ?? null;
  const qualifier = parts.at(-2);
  return [...leaves].some((leaf) => {
    if (typeof qualifier === 'string') return leaf.name === qualifier;
    if (name === null || leaf.name === name) return true;
    const columns = columnsOf(leaf);
    return columns === null || columns.includes(name) || systemNames.has(name);
  });
}

const systemNames = new Set(['tableoid', 'ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'gp_segment_id']);

/** A condition of a join, or what a function is given, may look at the rows around: by itself it can't. */
function looksAround(
  sides: readonly Side[],
  leaves: ReadonlySet<LeafItem>,
  block: SelectBlock,
  { blocks }: Model,
): string | null {
  const refs = refsIn(sides.map(({ node }) => node));
  const isOutside = (ref: ColumnRef, each: Block) => {
    const bound = bind(ref, each);
    if (bound === null) return each === block;
    return !leaves.has(bound.item) && !isWithin(bound, block);
  };
  const found = blocks.some(
    (each) => isInside(each, block) && each.columnRefs.some((ref) => refs.has(ref) && isOutside(ref, each)),
  );
  return found ? 'what is joined looks at the rows around it' : null;
}

/** It is a column of a subquery inside the block. */
export function isWithin({ item }: Bound, block: Block): boolean {
  const owner = item.kind === 'relation' ? item.block : item.kind === 'query' ? item.owner : null;
  return owner !== null && owner !== block && isInside(owner, block);
}

function obstacleIn(leaves: ReadonlySet<LeafItem>, block: SelectBlock, model: Model): string | null {
  for (const leaf of leaves) {
    if (leaf.kind === 'relation' && (leaf.sample || leaf.lock))
      return 'TABLESAMPLE and row locks stay where the rows are';
    if (leaf.name === null) return 'a FROM item without a name';
  }
  const grouped = groupingEdits({ ...model, blocks: [block] }, (item) => leaves.has(item));
  return grouped.length > 0 ? 'columns that depend on a primary key' : null;
}

/** The statement with staged rows in the unit's place. `alias` is a name that nothing else has; `changed` takes places by fields. */
export function placeUnit(
  unit: Unit,
  staged: StagedQuery,
  alias: string,
  block: SelectBlock,
  question: StageQuestion,
  changed: ReadonlyMap<object, Node> = new Map(),
): Node {
  const { model, tree } = question;
  const name = unit.alias ?? alias;
  const range = stagedRange(staged, name);
  const nodes = new Map<object, Node>(changed);
  if (unit.alias === null) {
    const aliases = sortAliases(block);
    for (const each of model.blocks.filter((other) => isInside(other, block))) {
      for (const ref of each.columnRefs) {
        const bound = aliases.has(ref) ? null : bind(ref, each);
        const output =
          bound && unit.outputs.find((own) => own.bound.item === bound.item && own.bound.column === bound.column);
        if (output) nodes.set(ref, columnRef(name, output.name));
      }
    }
  }
  const [first, ...others] = unit.sides;
  const list = block.node.fromClause ?? [];
  if (!list.includes(first!.node)) {
    // Of the join's condition, what the rows have met already.
    for (const condition of unit.done) nodes.set(fieldsOf(condition), { A_Const: { boolval: { boolval: true } } });
    return changeTree(tree, { nodes: nodes.set(fieldsOf(first!.node), range) });
  }
  const moved = new Set(others.map(({ node }) => node));
  const fromClause = list.flatMap((node) => (node === first!.node ? [range] : moved.has(node) ? [] : [node]));
  const { whereClause, ...fields } = block.node;
  const rest = conditionsOf(whereClause).filter((condition) => !unit.done.has(condition));
  const queries = new Map([[block.node as object, { ...fields, fromClause, ...whereOf(rest) }]]);
  return changeTree(tree, { nodes, queries });
}
