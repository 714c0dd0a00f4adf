import { isKnownKeyType } from '../../catalog/route.ts';
import type { ColocationGroup } from '../../catalog/snapshot.ts';
import type { PlanContext } from '../context.ts';
import { conjuncts, type Fact, usingFacts } from '../facts.ts';
import { innerLocus, type Locus, listLocus, locusOf, looksBeside } from '../locus.ts';
import {
  type Block,
  type FromItem,
  type JoinItem,
  joinsOf,
  type LeafItem,
  leavesOf,
  type QueryItem,
  type SelectBlock,
} from '../model.ts';
import type { Bound } from '../resolve.ts';
import { companionsOf } from './companions.ts';
import { moveInnerRows } from './inner-rows.ts';
import { boundType, equalPairs, keyPartners } from './pairs.ts';
import { isRoutable, placesOf } from './places.ts';
import { type PreAggregated, preAggregated } from './pre-aggregate.ts';
import { activeNodes, type Destination, type StagedQuery, stageQuery } from './query.ts';
import type { StageQuestion, Stepped } from './question.ts';
import { restrictedQuery } from './restrict.ts';
import { sizeOf } from './size.ts';
import { fromNodes } from './tree.ts';
import { createUnit, placeUnit, type Side, type Unit } from './unit.ts';

/** Sides that are on the same nodes already. */
interface Cluster {
  readonly sides: readonly Side[];
  /** elsewhere: it can be moved, and nothing can be moved to it. */
  readonly locus: Exclude<Locus, { kind: 'replicated' }>;
  /** Its rows are kept without a match: copies of them on several nodes would be kept several times. */
  readonly preserved: boolean;
}

/**
 * Brings what a block's FROM reads to the same nodes: innermost outer joins first, then the list. Everything that is not where the
 * largest part is moves to it, at the lowest cost. `atRoot`: with nothing on nodes, the rows go to the coordinator.
 */
export function colocateFrom(block: SelectBlock, question: StageQuestion, atRoot: boolean): Stepped {
  const nodes = fromNodes(block);
  const side = (item: FromItem): Side => ({ item, node: nodes.get(item)! });
  for (const join of joinsOf(block.from).reverse()) {
    if (!isApart(locusOf(join, question), [join])) continue;
    if (looksBeside(join.right)) return answerBeside(join.right, locusOf(join.left, question), question);
    const sides = [side(join.left), side(join.right)] as const;
    const [left, right] = sides.map(({ item }) => locusOf(item, question));
    if (left?.kind === 'replicated' && right?.kind === 'hashed')
      return { reason: 'a reference table is kept whole in an outer join' };
    if (right?.kind === 'replicated' && left?.kind === 'hashed')
      return { reason: 'a reference table is kept whole in an outer join' };
    const preserved = [keeps(join, 'left'), keeps(join, 'right')];
    const clusters = sides.map((each, i) => clusterOf(each, question, preserved[i]!));
    return moveTogether(clusters, block, { isList: false, join, atRoot: false, references: [] }, question);
  }
  if (!isApart(listLocus(block.from, question), block.from)) return null;
  const items = block.from.filter((item) => !isAnsweredLate(item, question));
  if (!isApart(listLocus(items, question), items)) return answerNext(block.from, question);
  const clusters: Cluster[] = [];
  const references: Side[] = [];
  for (const item of items) {
    const own = locusOf(item, question);
    if (own.kind === 'replicated' && !hasLocal(item)) {
      references.push(side(item));
      continue;
    }
    const added = clusterOf(side(item), question, false);
    const home = clusters.findIndex((each) => innerLocus(each.locus, added.locus, question).kind === 'hashed');
    const known = clusters[home];
    if (!known || added.locus.kind === 'elsewhere') clusters.push(added);
    else {
      const joined = innerLocus(known.locus, added.locus, question);
      clusters[home] = { ...known, sides: [...known.sides, ...added.sides], locus: joined as Cluster['locus'] };
    }
  }
  return moveTogether(clusters, block, { isList: true, join: null, atRoot, references }, question);
}

/** A LATERAL subquery that can't be joined by what it reads: it is answered when what stands beside it has come together. */
function isAnsweredLate(item: FromItem, question: StageQuestion): item is QueryItem {
  return looksBeside(item) && (hasLocal(item) || locusOf(item, question).kind === 'elsewhere');
}

/** The first of them that is not where the rows to its left are. */
function answerNext(items: readonly FromItem[], question: StageQuestion): Stepped {
  for (const [i, item] of items.entries()) {
    const left = listLocus(items.slice(0, i), question);
    const isOpen = isApart(listLocus(items.slice(0, i + 1), question), [item]);
    if (isOpen && isAnsweredLate(item, question)) return answerBeside(item, left, question);
  }
  return { reason: 'a LATERAL subquery' };
}

/** What a LATERAL subquery reads is brought to the rows to its left. */
function answerBeside({ block }: QueryItem, left: Locus, question: StageQuestion): Stepped {
  if (left.kind !== 'hashed') return { reason: 'a LATERAL subquery beside rows that are not on nodes' };
  if (block.kind !== 'select') return { reason: 'a LATERAL set operation' };
  const isThere = (leaf: LeafItem) => leaf.kind === 'relation' && leaf.role === 'reference';
  if (block.from.flatMap(leavesOf).every(isThere)) return { reason: 'a subquery inside a LATERAL one' };
  return moveInnerRows(block, left, false, question);
}

/** A subquery over the coordinator's own tables looks replicated to the algebra, and is not on the nodes. */
function isApart(locus: Locus, items: readonly FromItem[]): boolean {
  return locus.kind === 'elsewhere' || items.some((item) => locus.kind === 'hashed' && hasLocal(item));
}

function hasLocal(item: FromItem): boolean {
  return leavesOf(item).some((leaf) => {
    if (leaf.kind === 'relation') return leaf.role === 'local';
    return leaf.kind === 'query' && blockHasLocal(leaf.block);
  });
}

function blockHasLocal(block: Block): boolean {
  return block.from.some(hasLocal) || block.children.some((child) => blockHasLocal(child.block));
}

function keeps(join: JoinItem, side: 'left' | 'right'): boolean {
  return join.type === side || join.type === 'full';
}

function clusterOf(side: Side, question: StageQuestion, preserved: boolean): Cluster {
  const locus = locusOf(side.item, question);
  const movable = locus.kind === 'replicated' || hasLocal(side.item);
  return { sides: [side], preserved, locus: movable ? { kind: 'elsewhere', reason: 'on the coordinator' } : locus };
}

interface Place {
  readonly isList: boolean;
  readonly join: JoinItem | null;
  readonly atRoot: boolean;
  /** Members of the list that every node has a copy of. */
  readonly references: readonly Side[];
}

interface Move {
  readonly unit: Unit;
  readonly destination: Destination;
  readonly cost: number;
  readonly rows: number;
}

function moveTogether(
  clusters: readonly Cluster[],
  block: SelectBlock,
  place: Place,
  question: StageQuestion,
): Stepped {
  const anchors = clusters.filter(({ locus }) => locus.kind === 'hashed');
  if (anchors.length === 0) return place.atRoot ? toCoordinator(clusters, block, question) : null;
  let best: { moves: readonly Move[]; cost: number } | null = null;
  let refusal = 'no way to bring the rows together';
  for (const anchor of anchors) {
    const others = clusters.filter((each) => each !== anchor);
    const moves: Move[] = [];
    for (const unit of others.flatMap((each) => unitsOf(each, block, place, question))) {
      const move =
        'reason' in unit.unit ? unit.unit : cheapestMove(unit.unit, unit.preserved, anchor, block, place, question);
      if ('reason' in move) {
        refusal = move.reason;
        break;
      }
      moves.push(move);
    }
    const isWhole =
      moves.length > 0 &&
      others.flatMap(({ sides }) => sides).every((side) => moves.some(({ unit }) => unit.sides.includes(side)));
    const cost = moves.reduce((sum, move) => sum + move.cost, 0);
    if (isWhole && (best === null || cost < best.cost)) best = { moves, cost };
  }
  if (best === null) return redistributeFirst(clusters, block, place, question) ?? { reason: refusal };
  // What is few goes first: it tells which rows of the others are wanted.
  const [first] = [...best.moves].sort((a, b) => a.rows - b.rows);
  return carryOut(first!, block, place, question);
}

/** The conditions that rows of a cluster must meet to have a part in the result. */
function conditionsOn(cluster: Cluster, block: SelectBlock, { isList, join }: Place): readonly Fact[] {
  if (isList) return conjuncts(block.where, block);
  return join && !cluster.preserved ? conjuncts(join.on, join) : [];
}

/** The members of a cluster as one query where they are joined among themselves; else one by one. */
function unitsOf(cluster: Cluster, block: SelectBlock, place: Place, question: StageQuestion) {
  const companions = place.isList ? companionsOf(cluster.sides, place.references, block, question) : [];
  if (companions.length > 0) {
    const wider = createUnit([...cluster.sides, ...companions], block, conditionsOn(cluster, block, place), question);
    if (!('reason' in wider)) return [{ unit: wider, preserved: cluster.preserved }];
  }
  const together = createUnit(cluster.sides, block, conditionsOn(cluster, block, place), question);
  const { preserved } = cluster;
  if (cluster.sides.length === 1 || !('reason' in together)) return [{ unit: together, preserved }];
  return cluster.sides.map((side) => ({
    unit: createUnit([side], block, conditionsOn(cluster, block, place), question),
    preserved,
  }));
}

function cheapestMove(
  unit: Unit,
  preserved: boolean,
  anchor: Cluster,
  block: SelectBlock,
  place: Place,
  question: StageQuestion,
): Move | { readonly reason: string } {
  const { context } = question;
  const { force } = context;
  const { rows, rowBytes } = sizeOf(unit.query, context);
  const bytes = rows * (rowBytes + rowOverheadBytes);
  const keyed = keyDestination(unit, anchor, block, place, question);
  const moves: Move[] = [];
  if (keyed && force !== 'broadcast') moves.push({ unit, rows, destination: keyed, cost: bytes });
  const canBroadcast = !preserved && (force !== 'redistribute' || moves.length === 0);
  if (canBroadcast)
    moves.push({ unit, rows, destination: { kind: 'broadcast' }, cost: bytes * activeNodes(context).length });
  const [cheapest] = moves.sort((a, b) => a.cost - b.cost);
  return cheapest ?? { reason: 'rows that are kept without a match are on other nodes than their matches' };
}

/** What a row costs on its way besides its values. */
const rowOverheadBytes = 12;

/** To where the anchor's rows of the same key are; null: they are not joined by it. */
function keyDestination(
  unit: Unit,
  anchor: Cluster,
  block: SelectBlock,
  { join, isList }: Place,
  { facts, context }: StageQuestion,
): Destination | null {
  if (anchor.locus.kind !== 'hashed') return null;
  const on = join ? [...conjuncts(join.on, join), ...usingFacts(join)] : [];
  const where = isList ? conjuncts(block.where, block) : [];
  for (const member of anchor.locus.solid) {
    const distribution = member.table?.distribution;
    if (distribution?.kind !== 'distributed' || !isRoutable(distribution.group, distribution.keys)) continue;
    const partners = keyPartners(
      member,
      unit.leaves,
      [...on, ...where, ...(join ? [] : (facts.get(member) ?? []))],
      context,
    );
    const keys = partners && placesOf(partners, unit);
    if (keys) return { kind: 'redistribute', group: distribution.group, keys };
  }
  return null;
}

/** Neither side is distributed by what they are joined on: one goes to nodes by that, and the other will follow. */
function redistributeFirst(
  clusters: readonly Cluster[],
  block: SelectBlock,
  place: Place,
  question: StageQuestion,
): Stepped {
  const { context } = question;
  const facts = place.join
    ? [...conjuncts(place.join.on, place.join), ...usingFacts(place.join)]
    : conjuncts(block.where, block);
  const pairs = equalPairs(facts, context);
  for (const cluster of clusters) {
    const unit = createUnit(cluster.sides, block, conditionsOn(cluster, block, place), question);
    if ('reason' in unit) continue;
    for (const pair of pairs) {
      const [own, other] = unit.leaves.has(pair[0].item) ? pair : [pair[1], pair[0]];
      if (!unit.leaves.has(own.item) || unit.leaves.has(other.item)) continue;
      const type = boundType(own, context);
      const keys = placesOf([own], unit);
      if (!type || !keys || !isKnownKeyType(type.typeOid)) continue;
      const group = groupByKey(type.typeOid, activeNodes(context));
      const { rows } = sizeOf(unit.query, context);
      return carryOut(
        { unit, rows, destination: { kind: 'redistribute', group, keys }, cost: 0 },
        block,
        place,
        question,
      );
    }
  }
  return null;
}

/** A group that exists for one statement: one shard on each node. All types of a hash family share it. */
function groupByKey(typeOid: number, nodes: readonly number[]): ColocationGroup {
  const families = [typeOid === 20 || typeOid === 21 || typeOid === 23 ? 'integer' : `type ${typeOid}`];
  const shards = nodes.map((nodeId, index) => ({
    ...{ index, nodeId },
    bounds: { kind: 'hash', modulus: nodes.length, remainder: index } as const,
  }));
  return { id: stagedGroupId, method: 'hash', families, shards };
}

const stagedGroupId = -1;

function toCoordinator(clusters: readonly Cluster[], block: SelectBlock, question: StageQuestion): Stepped {
  for (const { sides } of clusters) {
    for (const side of sides) {
      if (isOnCoordinator(side.item)) continue;
      // Its conditions stay behind: with them it would be the very query that is being planned.
      const unit = createUnit([side], block, [], question);
      if ('reason' in unit) return unit;
      const { rows } = sizeOf(unit.query, question.context);
      const place: Place = { isList: true, join: null, atRoot: true, references: [] };
      return carryOut({ unit, rows, destination: { kind: 'coordinator' }, cost: 0 }, block, place, question);
    }
  }
  return null;
}

function isOnCoordinator(item: FromItem): boolean {
  return leavesOf(item).every((leaf) => {
    if (leaf.kind === 'relation') return leaf.role === 'local' || leaf.role === 'reference';
    return leaf.kind !== 'query' || blockIsLocal(leaf.block);
  });
}

function blockIsLocal(block: Block): boolean {
  return block.from.every(isOnCoordinator) && block.children.every((child) => blockIsLocal(child.block));
}

function carryOut(move: Move, block: SelectBlock, place: Place, question: StageQuestion): Stepped {
  const { unit, destination, rows } = move;
  const { staging, planQuery } = question;
  const lookups = rows > maxIndexedRows ? [] : joinedPlaces(unit, block, place, question.context);
  const label = `${verbs[destination.kind]} ${[...unit.leaves].map(({ name }) => name).join(', ')}`;
  const query = place.isList ? restrictedQuery(unit, rows, block, question) : unit.query;
  const inPart = preAggregated({ ...unit, query }, { rows, isList: place.isList }, block, question);
  if (inPart) {
    const short = stagePartial(inPart, move, label, question);
    if ('reason' in short) return short;
    return { tree: placeUnit(unit, short, unit.alias!, block, question, inPart.totals) };
  }
  const staged = stageQuery(query, unit.names, destination, { staging, label, rows, planQuery, lookups });
  if ('reason' in staged) return staged;
  return { tree: placeUnit(unit, staged, staging.newName(), block, question) };
}

/** Groups of rows that each node has aggregated by itself. */
function stagePartial(
  { query, names }: PreAggregated,
  { unit, rows, destination }: Move,
  label: string,
  { staging, planQuery }: StageQuestion,
): StagedQuery | { readonly reason: string } {
  const placeOf = (place: number) => names.indexOf(unit.names[place]!);
  const there: Destination =
    destination.kind === 'redistribute' ? { ...destination, keys: destination.keys.map(placeOf) } : destination;
  return stageQuery(query, names, there, {
    ...{ staging, planQuery, rows, label: `${label} in partial aggregates`, perNode: true },
  });
}

/**
 * Columns that the rows are joined by with others on nodes. Where PostgreSQL takes few rows for the others (after a semi join it often
 * does), it looks these up one by one, which an index keeps from being a scan for each.
 */
function joinedPlaces(unit: Unit, block: SelectBlock, { join }: Place, context: PlanContext): number[] {
  const facts = join ? [...conjuncts(join.on, join), ...usingFacts(join)] : conjuncts(block.where, block);
  const isCopied = ({ item }: Bound) => item.kind === 'relation' && item.role === 'reference';
  const own = equalPairs(facts, context).flatMap(([a, b]) => {
    if (unit.leaves.has(a.item) === unit.leaves.has(b.item)) return [];
    const [inside, outside] = unit.leaves.has(a.item) ? [a, b] : [b, a];
    return isCopied(outside) ? [] : [inside];
  });
  return [...new Set(own.flatMap((bound) => placesOf([bound], unit) ?? []))];
}

/** Beyond, an index costs more than it may save. */
const maxIndexedRows = 300_000;

const verbs = { coordinator: 'Gather', broadcast: 'Broadcast', redistribute: 'Redistribute' } as const;
