import type { Node, SelectStmt, SubLink } from '@pgsql/types';
import { fingerprint, nameParts, walk } from '../../sql/walk.ts';
import { isAligned } from '../alignment.ts';
import type { PlanContext } from '../context.ts';
import { conjuncts } from '../facts.ts';
import { isAggregate } from '../functions.ts';
import { listLocus } from '../locus.ts';
import { type Block, type Child, isInside, type LeafItem, type SelectBlock } from '../model.ts';
import { allBlocks, isUncorrelated } from '../sublink.ts';
import { isRoutable, placesOf } from './colocate.ts';
import { decorrelate, relevantKeys } from './decorrelate.ts';
import { equalPairs, keyPartners } from './pairs.ts';
import { type Destination, outputsOf, selectStaged, stageQuery, stageValue } from './query.ts';
import type { StageQuestion, Stepped } from './question.ts';
import { sizeOf } from './size.ts';
import {
  changeTree,
  conditionsOf,
  conjunction,
  fromNodes,
  integerConstant,
  leavesIn,
  selectOf,
  target,
} from './tree.ts';
import { createUnit, placeUnit, type Unit } from './unit.ts';

type SublinkChild = Extract<Child, { via: 'sublink' }>;

/** Makes the next subquery in an expression something that can be answered where the rows around it are. */
export function stageSublink(question: StageQuestion): Stepped {
  for (const { child, owner } of sublinks(question.model.root)) {
    if (!child.link || isAnswerable(child.block, question)) continue;
    return stageOne(child, child.link, owner, question);
  }
  return null;
}

/** Outermost first, those in FROM's subqueries included. */
function sublinks(block: Block): { child: SublinkChild; owner: Block }[] {
  return block.children.flatMap((child) =>
    child.via === 'sublink' ? [{ child, owner: block }, ...sublinks(child.block)] : sublinks(child.block),
  );
}

/** The rows that it reads are where those around it are, or there is a copy of them. */
function isAnswerable(block: Block, { model, facts, context }: StageQuestion): boolean {
  const { root } = model;
  const locus = root.kind === 'select' ? listLocus(root.from, { model, facts, context }) : null;
  const reads = model.relations.filter((item) => isInside(item.block, block));
  if (locus?.kind !== 'hashed') return reads.every(({ role }) => role === 'local' || role === 'reference');
  return reads.every(
    (item) =>
      item.role === 'reference' ||
      locus.members.some((member) => isAligned(item, member, facts.get(item) ?? [], context)),
  );
}

function stageOne(child: SublinkChild, link: SubLink, owner: Block, question: StageQuestion): Stepped {
  const { block } = child;
  const { tree, staging, planQuery } = question;
  if (block.kind !== 'select' && block.kind !== 'set operation') return { reason: 'an odd subquery' };
  if (hasTwin(link, owner)) return { reason: 'a subquery that is grouped or sorted by' };
  if (mayFail(block) && isGuarded(link, owner)) return { reason: 'a subquery that CASE may leave out' };
  const query: Node = { SelectStmt: block.node };
  if (!isUncorrelated(block)) return stageCorrelated(child, link, owner, question);
  if (link.subLinkType === 'EXPR_SUBLINK' && yieldsOneRow(block, question)) {
    const value = stageValue(query, staging, planQuery);
    if ('reason' in value) return value;
    return { tree: changeTree(tree, { nodes: new Map([[link, { ParamRef: { number: value.number } }]]) }) };
  }
  if (link.subLinkType === 'ARRAY_SUBLINK') return { reason: 'ARRAY of a subquery' };
  const isExists = link.subLinkType === 'EXISTS_SUBLINK';
  const whole = isExists ? firstRow(query) : query;
  const outputs = outputsOf(whole, staging.context);
  if ('reason' in outputs) return outputs;
  const names = outputs.map(({ name }) => name);
  const { rows } = sizeOf(whole, staging.context);
  const label = `${onNodes(question) ? 'Broadcast' : 'Gather'} the rows of a subquery`;
  const destination: Destination = { kind: onNodes(question) ? 'broadcast' : 'coordinator' };
  const once = link.subLinkType === 'ANY_SUBLINK';
  const staged = stageQuery(whole, names, destination, { staging, label, rows, planQuery, once });
  if ('reason' in staged) return staged;
  const subselect = selectStaged(staged, staging.newName());
  return { tree: changeTree(tree, { nodes: new Map([[link, { SubLink: { ...link, subselect } }]]) }) };
}

/** GROUP BY and DISTINCT know the select list's expressions by their being alike. */
function hasTwin(link: SubLink, owner: Block): boolean {
  if (owner.kind !== 'select' || !(owner.node.groupClause ?? owner.node.distinctClause)) return false;
  const own = fingerprint({ SubLink: link });
  return owner.children.some(
    (child) =>
      child.via === 'sublink' && child.link && child.link !== link && fingerprint({ SubLink: child.link }) === own,
  );
}

/** CASE and COALESCE promise not to evaluate what they don't need, errors included. */
function isGuarded(link: SubLink, owner: Block): boolean {
  let found = false;
  walk([owner.node], (kind, fields: object) => {
    if (kind === 'CaseExpr' || kind === 'CoalesceExpr') {
      walk([fields], (_, inner: object) => {
        found ||= inner === link;
        return true;
      });
    }
    return true;
  });
  return found;
}

/** It divides, or reads values as of another type. */
export function mayFail(block: Block): boolean {
  let found = false;
  walk([block.node], (kind, fields: { name?: Node[]; arg?: Node }) => {
    if (kind === 'A_Expr') found ||= ['/', '%'].includes(nameParts(fields.name).at(-1) ?? '');
    if (kind === 'TypeCast') found ||= !(fields.arg && 'A_Const' in fields.arg);
    return true;
  });
  return found;
}

function onNodes({ model, facts, context }: StageQuestion): boolean {
  return model.root.kind === 'select' && listLocus(model.root.from, { model, facts, context }).kind === 'hashed';
}

function firstRow(subquery: Node): Node {
  return selectOf({
    targetList: [target('found', integerConstant(1))],
    fromClause: [{ RangeSubselect: { subquery: subquery as never, alias: { aliasname: 'pgherd_any' } } }],
    limitCount: integerConstant(1),
    limitOption: 'LIMIT_OPTION_COUNT',
  });
}

/** Aggregates over all its rows: one row, whatever there is. */
function yieldsOneRow(block: Block, { context }: StageQuestion): boolean {
  if (block.kind !== 'select') return false;
  const { groupClause, distinctClause, limitOffset, limitCount, targetList = [], havingClause } = block.node;
  if (groupClause ?? distinctClause ?? limitOffset ?? limitCount ?? havingClause) return false;
  return targetList.length === 1 && block.functions.some((call) => isAggregate(call, context));
}

/** A subquery that looks at the rows around it: as a join with its groups, or its own rows are brought to those. */
function stageCorrelated(child: SublinkChild, link: SubLink, owner: Block, question: StageQuestion): Stepped {
  const { block } = child;
  if (block.kind !== 'select') return { reason: 'a correlated set operation' };
  if (!onNodes(question)) return { reason: 'a correlated subquery over rows of the coordinator' };
  const joined = owner.kind === 'select' && decorrelate(block, link, owner, question);
  if (joined) return joined;
  return moveInnerRows(block, link, question);
}

function moveInnerRows(block: SelectBlock, link: SubLink, question: StageQuestion): Stepped {
  const { model, context, staging, planQuery } = question;
  const inner = allBlocks(block).slice(1);
  const nested = inner.some((each) => each.scopeParent === null || !isUncorrelated(each));
  const fromQueries = block.from.some((item) =>
    leavesIn([item]).some((leaf) => leaf.kind === 'query' && !isUncorrelated(leaf.block)),
  );
  if (nested && fromQueries) return { reason: 'a correlated subquery in FROM' };
  const nodes = fromNodes(block);
  const sides = block.from.map((item) => ({ item, node: nodes.get(item)! }));
  if (sides.length === 0) return { reason: 'a subquery without FROM' };
  const unit = createUnit(sides, block, conjuncts(block.where, block), question);
  if ('reason' in unit) return unit;
  const root = model.root;
  const locus = root.kind === 'select' ? listLocus(root.from, question) : null;
  if (locus?.kind !== 'hashed') return { reason: 'rows that are elsewhere' };
  const keys = keyPlaces(locus.solid, unit, block, question);
  const isSemi = link.subLinkType === 'EXISTS_SUBLINK' || link.subLinkType === 'ANY_SUBLINK';
  const query = restricted(unit, block, question);
  const once = isSemi && countsOnce(block, question);
  const { rows } = sizeOf(query, context);
  const few = rows <= fewRows && context.force !== 'redistribute';
  const destination: Destination =
    keys && !few && context.force !== 'broadcast' ? { kind: 'redistribute', ...keys } : { kind: 'broadcast' };
  const names = [...unit.leaves].map(({ name }) => name).join(', ');
  const label = `${destination.kind === 'broadcast' ? 'Broadcast' : 'Redistribute'} ${names} of a subquery`;
  const lookups = lookupPlaces(unit, block, context);
  const staged = stageQuery(query, unit.names, destination, { staging, label, rows, planQuery, once, lookups });
  if ('reason' in staged) return staged;
  return { tree: placeUnit(unit, staged, staging.newName(), block, question) };
}

/** So few that each node may have them all: fewer than are supposed where nobody can tell. */
const fewRows = 500;

/** Whether there is a row matters, not how many: no grouping, window or limit that would count them. */
function countsOnce(block: SelectBlock, { context }: StageQuestion): boolean {
  const { groupClause, havingClause, distinctClause, limitCount, limitOffset } = block.node;
  const counted = groupClause ?? havingClause ?? distinctClause ?? limitCount ?? limitOffset;
  return !counted && !block.functions.some((call) => call.over !== undefined || isAggregate(call, context));
}

function keyPlaces(
  members: readonly Extract<LeafItem, { kind: 'relation' }>[],
  unit: Unit,
  block: SelectBlock,
  { facts, context }: StageQuestion,
) {
  for (const member of members) {
    const distribution = member.table?.distribution;
    if (distribution?.kind !== 'distributed' || !isRoutable(distribution.group, distribution.keys)) continue;
    const known = [...conjuncts(block.where, block), ...(facts.get(member) ?? [])];
    const partners = keyPartners(member, unit.leaves, known, context);
    const keys = partners && placesOf(partners, unit);
    if (keys) return { group: distribution.group, keys };
  }
  return null;
}

/** The rows that some row around can ask for. */
function restricted(unit: Unit, block: SelectBlock, question: StageQuestion): Node {
  // A subquery in FROM may be the whole query: inside it nothing goes by the names that are used around it.
  if (unit.sides.some(({ item }) => item.kind !== 'relation')) return unit.query;
  const pairs = equalPairs(conjuncts(block.where, block), question.context);
  const keys = pairs.flatMap(([a, b]) => {
    const [inner, outer] = unit.leaves.has(a.item) ? [a, b] : [b, a];
    return unit.leaves.has(inner.item) && !unit.leaves.has(outer.item) ? [{ inner, outer }] : [];
  });
  const magic = relevantKeys(keys, question);
  const { SelectStmt: select } = unit.query as { SelectStmt: SelectStmt };
  // A subquery that moves as it stands knows its columns by other names inside, and may count or cut its rows.
  const isQuery = unit.sides.some(({ item }) => item.kind === 'query' && item.block.node === select);
  if (magic.length === 0 || isQuery) return unit.query;
  const whereClause = conjunction([...conditionsOf(select.whereClause), ...magic])!;
  return { SelectStmt: { ...select, whereClause } };
}

/** The columns that the subquery compares with rows around it. */
function lookupPlaces(unit: Unit, block: SelectBlock, context: PlanContext): number[] {
  const pairs = equalPairs(conjuncts(block.where, block), context);
  const own = pairs.flatMap(([a, b]) => (unit.leaves.has(a.item) === unit.leaves.has(b.item) ? [] : [a, b]));
  const places = placesOf(
    own.filter(({ item }) => unit.leaves.has(item)),
    unit,
  );
  return [...new Set(places ?? [])];
}
