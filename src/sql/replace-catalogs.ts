import type { CommonTableExpr, RangeVar } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import type { RawStatement } from './parse.ts';
import { createSource, type Edit, positionOf, type SqlSource, splice } from './source.ts';
import { walk } from './walk.ts';

/** The statement's text with system catalogs and views replaced by subqueries: `rows` has them by name, in parentheses. */
export function replaceCatalogs(statement: RawStatement, rows: ReadonlyMap<string, string>): string {
  const found: RangeVar[] = [];
  const commonTables = new Set<string>();
  walk(statement.node, (kind, fields) => {
    if (kind === 'RangeVar') found.push(fields);
    else if (kind === 'CommonTableExpr') commonTables.add((fields as CommonTableExpr).ctename ?? '');
    return undefined;
  });
  const catalogs = found.filter(
    ({ schemaname, relname }) =>
      rows.has(relname ?? '') &&
      (schemaname === 'pg_catalog' || (schemaname === undefined && !commonTables.has(relname ?? ''))),
  );
  if (catalogs.length === 0) return statement.text;
  const source = createSource(statement);
  const edits = catalogs.map((catalog) => replacement(source, catalog, rows));
  return splice<never>(source, edits).join('');
}

function replacement(
  source: SqlSource,
  { relname, alias, location }: RangeVar,
  rows: ReadonlyMap<string, string>,
): Edit<never> {
  assert(relname !== undefined, 'a relation has a name');
  const start = positionOf(source, location);
  const text = rows.get(relname)!;
  return { start, end: endOfName(source, start), parts: [alias === undefined ? `${text} AS ${relname}` : text] };
}

/** Behind the last part of a qualified name. */
function endOfName(source: SqlSource, start: number): number {
  const tokens = source.tokens();
  let at = tokens.findIndex((token) => token.start === start);
  assert(at >= 0, 'a name begins with a token');
  while (tokens[at + 1]?.text === '.') at += 2;
  return tokens[at]!.end;
}
