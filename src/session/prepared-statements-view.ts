import { quoteLiteral } from '../sql/quote.ts';
import { replaceCatalogs } from '../sql/replace-catalogs.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

const viewName = 'pg_prepared_statements';
const withResultTypes = 160_000;

/** `pg_prepared_statements` shows what this session has prepared; a server connection's own are the router's. */
export function showPreparedStatements(session: SessionState, statement: ParsedStatement): string {
  if (!statement.text.toLowerCase().includes(viewName)) return statement.text;
  return replaceCatalogs(statement, new Map([[viewName, rowsSql(session)]]));
}

function rowsSql(session: SessionState): string {
  const resultTypes = session.catalog.lowestServerVersion >= withResultTypes;
  const rows = [...session.prepared.values()]
    .filter(({ name }) => name !== '')
    .map(({ name, text, preparedAtMs, parameterOids, fields, fromSql }) =>
      [
        quoteLiteral(name),
        quoteLiteral(text),
        `to_timestamp(${preparedAtMs / 1000})`,
        typesSql(parameterOids),
        ...(resultTypes ? [fields === null ? 'NULL::regtype[]' : typesSql(fields.map((field) => field.typeOid))] : []),
        String(fromSql),
        '0::bigint',
        '0::bigint',
      ].join(', '),
    );
  const columns = [
    ...['name', 'statement', 'prepare_time', 'parameter_types'],
    ...(resultTypes ? ['result_types'] : []),
    ...['from_sql', 'generic_plans', 'custom_plans'],
  ];
  const none = `(SELECT * FROM pg_catalog.${viewName} WHERE false)`;
  if (rows.length === 0) return none;
  return `(SELECT * FROM (VALUES ${rows.map((row) => `(${row})`).join(', ')}) AS v(${columns.join(', ')}))`;
}

function typesSql(oids: readonly number[]): string {
  return `'{${oids.join(',')}}'::oid[]::regtype[]`;
}
