import type { SubLink } from '@pgsql/types';
import { positionOf } from '../sql/source.ts';
import type { PlanContext } from './context.ts';
import { closing, type Extent, type PlanEdit, tokenAt } from './edits.ts';
import type { FactsByRelation } from './facts.ts';
import { spreadObstacle } from './functions.ts';
import { gather } from './gather.ts';
import { type Block, type Child, isChange, isInside, leavesOf, type Model } from './model.ts';
import type { Motion, SqlTemplate } from './plan.ts';
import { bind } from './resolve.ts';
import type { ConstantPool } from './rewrite.ts';
import { outputTypeName } from './type-inference.ts';

type SublinkChild = Extract<Child, { via: 'sublink' }>;

/** A subquery that doesn't depend on the rows around it, as a constant evaluated beforehand. */
export interface Evaluated {
  readonly block: Block;
  readonly edit: PlanEdit;
}

export interface SublinkRequest {
  readonly model: Model;
  readonly facts: FactsByRelation;
  readonly context: PlanContext;
  readonly constants: ConstantPool;
  /** The motions of the plan so far; those that the subqueries need are added. */
  readonly motions: Motion[];
}

/** Makes a constant of an uncorrelated subquery whose type is known; null when it can't be one. */
export function evaluateSublink(child: SublinkChild, request: SublinkRequest): Evaluated | null {
  const { link, block } = child;
  const { model, context } = request;
  if (!link || block.source !== model.source || !isUncorrelated(block) || containsChange(block)) return null;
  // WITH does not come along.
  if (readsCteAround(block)) return null;
  const shape = shapeOf(link, block, context);
  if (!shape) return null;
  const end = model.source.bytes.length;
  const edits: PlanEdit[] = [
    { start: 0, end: shape.query.start, parts: [shape.isArray ? 'ARRAY' : shape.prefix] },
    { start: shape.query.end, end, parts: [] },
  ];
  const concerns = (item: { block: Block }) => isInside(item.block, block);
  const { sql } = gather({ ...request, edits, concerns });
  const constant = request.constants.add(sql as SqlTemplate, shape.typeName);
  const parts = [...shape.before, '(', { constant }, ')'];
  return { block, edit: { ...shape.extent, parts } };
}

interface Shape {
  /** What is replaced: the subquery, and IN before it. */
  readonly extent: Extent;
  /** The subquery with its parentheses. */
  readonly query: Extent;
  readonly before: readonly string[];
  readonly prefix: string;
  readonly isArray: boolean;
  readonly typeName: string;
}

function shapeOf(link: SubLink, block: Block, context: PlanContext): Shape | null {
  const { source } = block;
  const tokens = source.tokens();
  const first = tokenAt(tokens, positionOf(source, link.location));
  let open = first;
  while (tokens[open]?.text !== '(') open++;
  const query = { start: tokens[open]!.start, end: tokens[closing(tokens, open)]!.end };
  const whole = { start: tokens[first]!.start, end: query.end };
  if (link.subLinkType === 'EXISTS_SUBLINK') {
    return { extent: whole, query, before: [], prefix: 'EXISTS ', isArray: false, typeName: 'boolean' };
  }
  const typeName = outputTypeName(block, context);
  if (typeName === null || typeName.endsWith('[]')) return null;
  switch (link.subLinkType) {
    case 'EXPR_SUBLINK':
      return { extent: query, query, before: [], prefix: '', isArray: false, typeName };
    case 'ARRAY_SUBLINK':
      return { extent: whole, query, before: [], prefix: '', isArray: true, typeName: `${typeName}[]` };
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK': {
      if (link.testexpr && ('RowExpr' in link.testexpr || 'SubLink' in link.testexpr)) return null;
      const word = tokens[first]!.text;
      const before = word === 'in' ? ['= ANY '] : word === 'not' ? ['<> ALL '] : [];
      const extent = before.length > 0 ? whole : query;
      return { extent, query, before, prefix: '', isArray: true, typeName: `${typeName}[]` };
    }
    default:
      return null;
  }
}

/** Every name in it means something inside it. */
export function isUncorrelated(block: Block): boolean {
  return allBlocks(block).every((each) =>
    each.columnRefs.every((ref) => {
      if (ref.fields?.some((field) => 'A_Star' in field)) return true;
      const bound = bind(ref, each);
      if (bound?.item.kind === 'relation') return isInside(bound.item.block, block);
      return bound?.item.kind === 'query' && isInside(bound.item.block, block);
    }),
  );
}

function readsCteAround(block: Block): boolean {
  const blocks = allBlocks(block);
  const own = new Set(
    blocks.flatMap((each) => each.children.flatMap((child) => (child.via === 'cte' ? [child.name] : []))),
  );
  return blocks.some((each) =>
    each.from.flatMap(leavesOf).some((leaf) => {
      if (leaf.kind !== 'other' || leaf.what !== 'cte' || !('RangeVar' in leaf.node)) return false;
      return !own.has(leaf.node.RangeVar.relname ?? '');
    }),
  );
}

export function allBlocks(block: Block): Block[] {
  return [block, ...block.children.flatMap((child) => allBlocks(child.block))];
}

function containsChange(block: Block): boolean {
  return allBlocks(block).some(isChange);
}

/** Whether a subquery over copies gives the same on each of them: nothing in it depends on an order of rows. */
export function isDeterministic(block: Block, context: PlanContext): boolean {
  return allBlocks(block).every((each) => {
    if (each.kind === 'values' || each.kind === 'set operation') return !each.node.limitCount && !each.node.limitOffset;
    if (each.kind !== 'select') return false;
    const { limitCount, limitOffset, distinctClause, windowClause, lockingClause } = each.node;
    const isDistinctOn = distinctClause?.some((node) => Object.keys(node).length > 0) ?? false;
    if (limitCount ?? limitOffset ?? windowClause ?? lockingClause) return false;
    const calm = each.functions.every((call) => !call.over && !orderSensitive.test(JSON.stringify(call.funcname)));
    return !isDistinctOn && calm && spreadObstacle([each], context) === null;
  });
}

const orderSensitive = /agg|first|last|percentile|mode/;
