import type { Node, OnConflictClause } from '@pgsql/types';
import type { GlobalIndex } from '../catalog/snapshot.ts';
import { pgError, unsupported } from '../core/errors.ts';
import { globalIndexes, isOverExpression } from './change-checks.ts';
import type { RelationItem } from './model.ts';
import type { ConflictWithIndexes, MotionColumn } from './plan.ts';

/** What nodes get of an ON CONFLICT clause, and what is done about global unique indexes. */
export interface ConflictHandling {
  readonly conflict: Omit<ConflictWithIndexes, 'update'> | null;
  /** DO UPDATE goes by this one. */
  readonly updates: GlobalIndex | null;
  /** The nodes' INSERT goes without it: they have no such index. */
  readonly clauseDropped: boolean;
}

/**
 * ON CONFLICT on a table with global unique indexes, which no node has. One of them may be what the clause names, or any of them when
 * it names none.
 */
export function conflictHandling(target: RelationItem, columns: readonly MotionColumn[]): ConflictHandling {
  const { block, table } = target;
  const clause = block.kind === 'insert' ? block.node.onConflictClause : undefined;
  const indexes = table ? globalIndexes(table) : [];
  if (!clause || !table || indexes.length === 0) return { conflict: null, updates: null, clauseDropped: false };
  const refused = (what: string) =>
    unsupported('PH002', `ON CONFLICT on ${table.name}, which has a global unique index: ${what}`);
  const isUpdate = clause.action === 'ONCONFLICT_UPDATE';
  const place = namedIndex(clause, indexes);
  const everywhere = clause.infer === undefined;
  if (everywhere && isUpdate) {
    throw pgError('syntaxError', 'ON CONFLICT DO UPDATE requires inference specification or constraint name', {
      hint: 'For example, ON CONFLICT (column_name).',
    });
  }
  if (place < 0 && !everywhere) return { conflict: null, updates: null, clauseDropped: false };
  const places = everywhere ? [...indexes.keys()] : [place];
  for (const each of places) {
    const { predicate, columns: unique } = indexes[each]!;
    if (predicate !== null) throw refused('a partial one');
    if (isOverExpression(indexes[each]!)) throw refused('one over an expression');
    const left = unique.find(
      (name) => !columns.some((column) => column.name === name) && !isNullByDefault(table, name),
    );
    if (left) throw refused(`the default of ${left}`);
  }
  const updates = isUpdate ? (indexes[place] ?? null) : null;
  return { conflict: { indexes: places }, updates, clauseDropped: !everywhere };
}

function isNullByDefault(table: NonNullable<RelationItem['table']>, name: string): boolean {
  return table.columns.some((column) => column.name === name && column.default.kind === 'none');
}

/** Whether an INSERT's ON CONFLICT clause goes by a global unique index, which is not where the row is. */
export function mindsIndexes({ block, table }: RelationItem): boolean {
  const clause = block.kind === 'insert' ? block.node.onConflictClause : undefined;
  const indexes = table ? globalIndexes(table) : [];
  return clause !== undefined && indexes.length > 0 && (clause.infer === undefined || namedIndex(clause, indexes) >= 0);
}

function namedIndex({ infer }: OnConflictClause, indexes: readonly GlobalIndex[]): number {
  const inferred = infer?.indexElems?.map(elementName);
  // Of two expressions nobody here knows whether they are the same.
  const asksExpression = inferred?.includes(null) ?? false;
  return indexes.findIndex(
    (index) =>
      index.name === infer?.conname ||
      (asksExpression && isOverExpression(index)) ||
      (inferred !== undefined && sameNames(inferred, index.columns)),
  );
}

/** null: an expression, or a collation or operator class of its own. */
function elementName(node: Node): string | null {
  if (!('IndexElem' in node)) return null;
  const { name, collation, opclass } = node.IndexElem;
  return collation || opclass ? null : (name ?? null);
}

function sameNames(a: readonly (string | null)[], b: readonly string[]): boolean {
  return a.length === b.length && b.every((name) => a.includes(name));
}
