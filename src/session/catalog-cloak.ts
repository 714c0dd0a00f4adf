import type { CommonTableExpr, RangeVar } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import type { RawStatement } from '../sql/parse.ts';
import { createSource, type Edit, positionOf, type SqlSource, splice } from '../sql/source.ts';
import { walk } from '../sql/walk.ts';

/*
 * What pgherd keeps in the coordinator's database has no place in a dump: the herd that it describes is not where the dump goes. So
 * the statements of pg_dump see the system catalogs without it.
 */

const dumpPrograms = new Set(['pg_dump', 'pg_dumpall']);

/** Whether a session with this application_name shall see nothing of pgherd's own. */
export function isCloaked(applicationName: string | undefined): boolean {
  return applicationName !== undefined && dumpPrograms.has(applicationName);
}

/** The statement's text with each system catalog in a FROM clause replaced by its rows that are not pgherd's. */
export function cloakCatalogs(statement: RawStatement): string {
  const found: RangeVar[] = [];
  const commonTables = new Set<string>();
  walk(statement.node, (kind, fields) => {
    if (kind === 'RangeVar') found.push(fields);
    else if (kind === 'CommonTableExpr') commonTables.add((fields as CommonTableExpr).ctename ?? '');
    return undefined;
  });
  const catalogs = found.filter(
    ({ schemaname, relname }) =>
      visibleRows.has(relname ?? '') &&
      (schemaname === 'pg_catalog' || (schemaname === undefined && !commonTables.has(relname ?? ''))),
  );
  if (catalogs.length === 0) return statement.text;
  const source = createSource(statement);
  return splice<never>(
    source,
    catalogs.map((catalog) => cloak(source, catalog)),
  ).join('');
}

/** `tableoid` is a column of a table but not of a subquery, unless it is selected. */
function cloak(source: SqlSource, { relname, alias, location }: RangeVar): Edit<never> {
  assert(relname !== undefined, 'a relation has a name');
  const start = positionOf(source, location);
  const rows = `(SELECT tableoid, * FROM pg_catalog.${relname} WHERE ${visibleRows.get(relname)})`;
  return { start, end: endOfName(source, start), parts: [alias === undefined ? `${rows} AS ${relname}` : rows] };
}

/** Behind the last part of a qualified name. */
function endOfName(source: SqlSource, start: number): number {
  const tokens = source.tokens();
  let at = tokens.findIndex((token) => token.start === start);
  assert(at >= 0, 'a name begins with a token');
  while (tokens[at + 1]?.text === '.') at += 2;
  return tokens[at]!.end;
}

const ownSchemas = "(SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pgherd(_|$)')";

/** Administrative functions and compatibility views stand in pg_catalog, where nobody else makes anything. */
const notOwn = (schema: string) =>
  `${schema} NOT IN ${ownSchemas} AND NOT (${schema} = 'pg_catalog'::pg_catalog.regnamespace AND oid >= 16384)`;

/** Which rows of a catalog are not pgherd's. */
const visibleRows: ReadonlyMap<string, string> = new Map([
  ['pg_namespace', "nspname !~ '^pgherd(_|$)'"],
  ['pg_class', notOwn('relnamespace')],
  ['pg_proc', notOwn('pronamespace')],
  ['pg_type', notOwn('typnamespace')],
  ['pg_statistic_ext', notOwn('stxnamespace')],
  // pg_dump stops at a rule of a relation that it has not met.
  ['pg_rewrite', `ev_class IN (SELECT oid FROM pg_catalog.pg_class WHERE ${notOwn('relnamespace')})`],
  ['pg_trigger', `tgfoid NOT IN (SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace IN ${ownSchemas})`],
]);
