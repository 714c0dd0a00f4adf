import type { SelectStmt } from '@pgsql/types';
import type { Model } from './model.ts';

/**
 * A column of the query may have another collation than its type's: by COLLATE on the way to it, or by a table's or a view's definition.
 * Rows that are computed here and compared there would lose it. Conditions of the query itself, and what it is sorted by, don't count.
 */
export function mayCollate(select: SelectStmt, { views }: Model): boolean {
  const { whereClause: _where, sortClause: _sort, ...rest } = select;
  const isCollated = views.some(({ view }) => view?.relation.columns.some(({ collation }) => collation !== null));
  return isCollated || JSON.stringify(rest).includes('"CollateClause"');
}
