import type { CommonTableExpr, RangeVar } from '@pgsql/types';
import type { RawStatement } from './parse.ts';
import { createSource, positionOf, splice } from './source.ts';
import { walk } from './walk.ts';

/** The text with a schema before each unqualified relation that `belongs` to it; null: there is none. */
export function qualifyRelations(
  statement: RawStatement,
  schema: string,
  belongs: (name: string) => boolean,
): string | null {
  const found: RangeVar[] = [];
  const commonTables = new Set<string>();
  walk(statement.node, (kind, fields) => {
    if (kind === 'RangeVar') found.push(fields);
    else if (kind === 'CommonTableExpr') commonTables.add((fields as CommonTableExpr).ctename ?? '');
    return undefined;
  });
  const named = found.filter(
    ({ schemaname, relname = '' }) => schemaname === undefined && !commonTables.has(relname) && belongs(relname),
  );
  if (named.length === 0) return null;
  const source = createSource(statement);
  const edits = named.map(({ location }) => {
    const start = positionOf(source, location);
    return { start, end: start, parts: [`${schema}.`] };
  });
  return splice<never>(source, edits).join('');
}
