import { quoteName, quoteText } from './quote.ts';

/*
 * PostgreSQL's statistics over all servers of the herd. `pgherd.pg_stat_activity` and its kin stand for the unqualified names: the
 * columns of the coordinator's own view, the older names of some, and the server. Their rows come from `pgherd.live_pg_stat_activity`
 * and so on, which the router fills from all servers when a statement reads them.
 */

export interface StatisticsView {
  readonly name: string;
  /** Columns under the names that older versions of PostgreSQL gave them. */
  readonly olderNames: Readonly<Record<string, string>>;
  /** Of tables and indexes: one row for each on each server, whose figures are those of all its shards there. */
  readonly perRelation: 'table' | 'index' | null;
}

export const statisticsViews: readonly StatisticsView[] = [
  { name: 'pg_stat_activity', olderNames: {}, perRelation: null },
  { name: 'pg_stat_replication', olderNames: {}, perRelation: null },
  { name: 'pg_stat_user_tables', olderNames: { tablename: 'relname' }, perRelation: 'table' },
  {
    name: 'pg_stat_user_indexes',
    olderNames: { tablename: 'relname', indexname: 'indexrelname' },
    perRelation: 'index',
  },
  {
    name: 'pg_stat_statements',
    olderNames: {
      total_time: 'total_exec_time',
      min_time: 'min_exec_time',
      max_time: 'max_exec_time',
      mean_time: 'mean_exec_time',
      stddev_time: 'stddev_exec_time',
    },
    perRelation: null,
  },
];

export interface StatisticsColumn {
  readonly name: string;
  readonly type: string;
}

export const statisticsSchema = 'pgherd';

export function liveStatisticsName(view: string): string {
  return `live_${view}`;
}

/** The view whose rows a live relation has. */
export function statisticsViewOf(liveName: string): StatisticsView | undefined {
  return statisticsViews.find(({ name }) => liveStatisticsName(name) === liveName);
}

/** OIDs of these differ between servers: names travel. */
const travelsAsName: Readonly<Record<string, { readonly catalog: string; readonly nameColumn: string }>> = {
  usesysid: { catalog: 'pg_roles', nameColumn: 'rolname' },
  userid: { catalog: 'pg_roles', nameColumn: 'rolname' },
  datid: { catalog: 'pg_database', nameColumn: 'datname' },
  dbid: { catalog: 'pg_database', nameColumn: 'datname' },
};

/** Looked up on the coordinator by the names beside it. */
const relationOf: Readonly<Record<string, string>> = { relid: 'relname', indexrelid: 'indexrelname' };

/** The columns of a live relation: who says it, then the view's own, as they travel. */
function liveColumns(view: StatisticsView, columns: readonly StatisticsColumn[]): StatisticsColumn[] {
  const travelling = columns
    .filter(({ name }) => view.perRelation === null || !(name in relationOf))
    .map((column) => (column.name in travelsAsName ? { ...column, type: 'name' } : column));
  return [{ name: 'nodeid', type: 'integer' }, { name: 'nodename', type: 'text' }, ...travelling];
}

/** `columns`: those of the coordinator's own view. */
export function statisticsViewSql(view: StatisticsView, columns: readonly StatisticsColumn[]): string[] {
  const live = `${statisticsSchema}.${liveStatisticsName(view.name)}`;
  const shown = columns.map(({ name }) => `${shownColumn(view, name)} AS ${quoteName(name)}`);
  const known = new Set(columns.map(({ name }) => name));
  const older = Object.entries(view.olderNames)
    .filter(([name, column]) => !known.has(name) && known.has(column))
    .map(([name, column]) => `l.${quoteName(column)} AS ${quoteName(name)}`);
  return [
    liveRelationSql(liveStatisticsName(view.name), liveColumns(view, columns)),
    `CREATE OR REPLACE VIEW ${statisticsSchema}.${view.name} AS SELECT ${[...shown, ...older, 'l.nodename'].join(', ')} FROM ${live} l`,
  ];
}

function shownColumn(view: StatisticsView, name: string): string {
  const asName = travelsAsName[name];
  const column = quoteName(name);
  if (asName) {
    const { catalog, nameColumn } = asName;
    return `(SELECT x.oid FROM pg_catalog.${catalog} x WHERE x.${nameColumn} = l.${column})`;
  }
  const relation = view.perRelation === null ? undefined : relationOf[name];
  if (relation === undefined) return `l.${column}`;
  return `(SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = l.schemaname AND c.relname = l.${relation})`;
}

/** A view without rows of its own: read past the router, it raises. */
export function liveRelationSql(name: string, columns: readonly StatisticsColumn[]): string {
  const list = columns.map((column) => `NULL::${column.type} AS ${quoteName(column.name)}`);
  return `CREATE OR REPLACE VIEW ${statisticsSchema}.${name} AS SELECT ${list.join(', ')} FROM ${statisticsSchema}.live_rows_guard()`;
}

export const liveGuardSql = `CREATE OR REPLACE FUNCTION ${statisticsSchema}.live_rows_guard() RETURNS SETOF boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RAISE EXCEPTION USING errcode = '0A000', message = 'statistics of all servers were read on the coordinator, outside the router',
    hint = 'Run the statement itself through the router, not in a function or over a direct connection.';
END $$`;

export interface StatisticsSite {
  readonly id: number;
  readonly name: string;
  /** The extension's schema, where the view is an extension's. */
  readonly schema: string;
}

/**
 * What one server says: the columns of a live relation, as text. Read through JSON, so that a column which a server's version lacks is
 * NULL and dates come in one form. OFFSET 0: the document is made once, not for each column.
 */
export function siteStatisticsSql(
  view: StatisticsView,
  columns: readonly StatisticsColumn[],
  site: StatisticsSite,
): string {
  const [, , ...own] = columns;
  const who = [String(site.id), quoteText(site.name)];
  const source = `${quoteName(site.schema)}.${view.name}`;
  if (view.perRelation === null) {
    const list = [...who, ...own.map(({ name }) => travellingValue(name))];
    return `SELECT ${list.join(', ')} FROM (SELECT to_jsonb(s) AS doc FROM ${source} s OFFSET 0) q`;
  }
  const names = view.perRelation === 'table' ? ['schemaname', 'relname'] : ['schemaname', 'relname', 'indexrelname'];
  const list = [...who, ...own.map((column) => (names.includes(column.name) ? `q.${column.name}` : sumOf(column)))];
  // The figures of empty shells say nothing; nodes have no such catalog.
  const shells =
    site.id === 0
      ? "AND s.relid NOT IN (SELECT t.relation FROM pgherd.dist_table t WHERE t.method <> 'reference')"
      : '';
  return `SELECT ${list.join(', ')} FROM (
    SELECT to_jsonb(s) AS doc, regexp_replace(s.schemaname, '^pgherd_s[0-9]+_', '') AS schemaname,
      ${names
        .slice(1)
        .map((name) => `s.${name}`)
        .join(', ')}
    FROM ${source} s JOIN pg_catalog.pg_class c ON c.oid = s.relid AND c.relkind <> 'p'
    WHERE (s.schemaname !~ '^pgherd(_|$)' OR s.schemaname ~ '^pgherd_s[0-9]+_') ${shells} OFFSET 0) q
  GROUP BY ${names.map((name) => `q.${name}`).join(', ')}`;
}

function travellingValue(name: string): string {
  const value = `q.doc->>${quoteText(name)}`;
  const asName = travelsAsName[name];
  if (!asName) return value;
  return `(SELECT x.${asName.nameColumn} FROM pg_catalog.${asName.catalog} x WHERE x.oid::text = ${value})`;
}

function sumOf({ name, type }: StatisticsColumn): string {
  const value = `q.doc->>${quoteText(name)}`;
  switch (type) {
    case 'bigint':
      return `sum((${value})::numeric)::bigint`;
    case 'double precision':
      return `sum((${value})::double precision)`;
    default:
      // When something was done last: in any of the shards.
      return `to_jsonb(max((${value})::timestamptz)) #>> '{}'`;
  }
}
