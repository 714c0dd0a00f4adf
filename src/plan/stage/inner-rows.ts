import type { Node, SelectStmt } from '@pgsql/types';
import type { PlanContext } from '../context.ts';
import { conjuncts } from '../facts.ts';
import type { Hashed } from '../locus.ts';
import type { LeafItem, SelectBlock } from '../model.ts';
import { allBlocks, isUncorrelated } from '../sublink.ts';
import { relevantKeys } from './decorrelate.ts';
import { equalPairs, keyPartners } from './pairs.ts';
import { isRoutable, placesOf } from './places.ts';
import { type Destination, stageQuery } from './query.ts';
import type { StageQuestion, Stepped } from './question.ts';
import { sizeOf } from './size.ts';
import { conditionsOf, conjunction, fromNodes, leavesIn } from './tree.ts';
import { createUnit, placeUnit, type Unit } from './unit.ts';

/**
 * Brings what a subquery reads to the rows that it looks at. `around`: where those are. `once`: of equal inner rows one will do.
 */
export function moveInnerRows(block: SelectBlock, around: Hashed, once: boolean, question: StageQuestion): Stepped {
  const { context, staging, planQuery } = question;
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
  const keys = keyPlaces(around.solid, unit, block, question);
  const query = restricted(unit, block, question);
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
