import type { RawStatement } from '../sql/parse.ts';
import { replaceCatalogs } from '../sql/replace-catalogs.ts';

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
  return replaceCatalogs(statement, cloakedRows);
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
  ['pg_extension', `extnamespace NOT IN ${ownSchemas}`],
  // pg_dump stops at a rule of a relation that it has not met.
  ['pg_rewrite', `ev_class IN (SELECT oid FROM pg_catalog.pg_class WHERE ${notOwn('relnamespace')})`],
  ['pg_inherits', `inhrelid NOT IN (SELECT oid FROM pg_catalog.pg_class WHERE relnamespace IN ${ownSchemas})`],
  ['pg_extension', `extnamespace NOT IN ${ownSchemas}`],
  [
    'pg_foreign_data_wrapper',
    `fdwhandler NOT IN (SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace IN ${ownSchemas})`,
  ],
  ['pg_foreign_server', "srvname !~ '^pgherd(_|$)'"],
  ['pg_trigger', `tgfoid NOT IN (SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace IN ${ownSchemas})`],
]);

/** `tableoid` is a column of a table but not of a subquery, unless it is selected. */
const cloakedRows: ReadonlyMap<string, string> = new Map(
  [...visibleRows].map(([name, condition]) => [
    name,
    `(SELECT tableoid, * FROM pg_catalog.${name} WHERE ${condition})`,
  ]),
);
