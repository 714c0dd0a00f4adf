import type { Node, SortBy } from '@pgsql/types';
import { nameParts } from '../sql/walk.ts';
import type { PlanContext } from './context.ts';
import { conjuncts } from './facts.ts';
import { fragmentExpression, runsAnywhere } from './fragment.ts';
import { rowWindow } from './limit.ts';
import type { RelationItem, SelectBlock } from './model.ts';
import type { SqlPart, SqlTemplate } from './plan.ts';
import { bind, columnEntry } from './resolve.ts';
import type { ConstantPool } from './rewrite.ts';

export interface LockedWindow {
  /** ` ORDER BY … LIMIT n`. */
  readonly sql: SqlTemplate;
  readonly dependsOnParameters: boolean;
}

/**
 * A query with LIMIT that locks the rows of one relation: no node needs to lock more of them than the query gives. Null: the node can't
 * tell which come first, or the query has no limit.
 */
export function lockedWindow(
  item: RelationItem,
  alias: string,
  context: PlanContext,
  constants: ConstantPool,
): LockedWindow | null {
  const { block } = item;
  if (block.kind !== 'select' || block.from.length !== 1 || block.from[0] !== item || item.sample) return null;
  const { groupClause, havingClause, distinctClause, windowClause, sortClause = [] } = block.node;
  if (groupClause ?? havingClause ?? distinctClause ?? windowClause) return null;
  const window = rowWindow(block.node, context);
  if (window === null || window.limit === null) return null;
  const isOwn = (node: Node) =>
    runsAnywhere(node, context) && conjuncts(node, block).every((fact) => isOfItem(fact.columns.values(), item));
  if (!conjuncts(block.where, block).every((fact) => !fact.nested && isOwn(fact.expression))) return null;
  const order = sortClause.map((node) => ('SortBy' in node ? sorted(node.SortBy, block, isOwn) : null));
  if (order.includes(null)) return null;
  const column = (ref: Parameters<typeof bind>[0]) => {
    const bound = bind(ref, block);
    const entry = bound && columnEntry(bound);
    return entry ? { ColumnRef: { fields: [{ String: { sval: alias } }, { String: { sval: entry.name } }] } } : null;
  };
  try {
    const keys = order.flatMap((key, i): SqlPart[] => {
      const expression = fragmentExpression(key!.expression, { context, constants, column });
      return [i === 0 ? ' ORDER BY (' : ', (', ...expression, `)${key!.direction}`];
    });
    return {
      sql: [...keys, ` LIMIT ${window.limit + window.offset}`],
      dependsOnParameters: window.dependsOnParameters,
    };
  } catch {
    return null;
  }
}

function isOfItem(columns: Iterable<ReturnType<typeof bind>>, item: RelationItem): boolean {
  return [...columns].every((bound) => bound?.item === item && columnEntry(bound) !== null);
}

interface SortKey {
  readonly expression: Node;
  readonly direction: string;
}

const directions: Readonly<Record<string, string>> = { SORTBY_ASC: ' ASC', SORTBY_DESC: ' DESC' };
const nullPlaces: Readonly<Record<string, string>> = {
  SORTBY_NULLS_FIRST: ' NULLS FIRST',
  SORTBY_NULLS_LAST: ' NULLS LAST',
};

function sorted(
  { node, sortby_dir, sortby_nulls }: SortBy,
  block: SelectBlock,
  isOwn: (node: Node) => boolean,
): SortKey | null {
  const expression = node && sortedExpression(node, block);
  if (!expression || sortby_dir === 'SORTBY_USING' || !isOwn(expression)) return null;
  return { expression, direction: `${directions[sortby_dir ?? ''] ?? ''}${nullPlaces[sortby_nulls ?? ''] ?? ''}` };
}

/** A number, or a name that the list of results has, means a result. */
function sortedExpression(node: Node, block: SelectBlock): Node | null {
  const results = (block.node.targetList ?? []).map((target) => ('ResTarget' in target ? target.ResTarget : {}));
  const isStar = (value: Node | undefined) =>
    value !== undefined && 'ColumnRef' in value && nameParts(value.ColumnRef.fields).at(-1) === null;
  if ('A_Const' in node) {
    const place = node.A_Const.ival?.ival ?? 0;
    const before = results.slice(0, place);
    return before.some(({ val }) => isStar(val)) ? null : (results[place - 1]?.val ?? null);
  }
  const names = 'ColumnRef' in node ? nameParts(node.ColumnRef.fields) : [];
  if (names.length !== 1) return node;
  return results.find(({ name }) => name === names[0])?.val ?? node;
}
