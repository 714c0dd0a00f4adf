import { collectResult } from '../backend/collect-result.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import type { MotionColumn, ShippedColumn, SqlTemplate } from '../plan/plan.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { type RowsItem, rowsAsUnnest } from './rendered-rows.ts';
import { encodeRendered, type RenderedSql } from './statement-bytes.ts';

/** A column of rows that are sent along, once its type is known. It travels as text, which every server reads alike. */
export interface TypedColumn extends ShippedColumn {
  readonly typeName: string;
}

/** `rows` yields `leading`, then a column for each of `columns`, whose types the coordinator is asked for where they aren't known. */
export async function typedColumns(
  coordinator: ServerConnection,
  rows: SqlTemplate,
  columns: readonly ShippedColumn[],
  yielded: (index: number) => string,
  values: TemplateValues,
): Promise<TypedColumn[]> {
  const unknown = [...columns.keys()].filter((index) => columns[index]!.typeName === null);
  const types = unknown.length === 0 ? [] : await typesOf(coordinator, rows, unknown.map(yielded), values);
  return columns.map((column, index) => ({
    ...column,
    typeName: column.typeName ?? types[unknown.indexOf(index)]!.name,
  }));
}

/** The types of columns of a query, which is planned but not run. */
export async function typesOf(
  coordinator: ServerConnection,
  rows: SqlTemplate,
  names: readonly string[],
  values: TemplateValues,
): Promise<{ readonly name: string; readonly oid: number }[]> {
  const list = names.flatMap((name) => {
    const type = `pg_catalog.pg_typeof(q.${quoteIdentifier(name)})`;
    return [`pg_catalog.format_type(${type}, NULL)`, `${type}::oid`];
  });
  const template: SqlTemplate = [
    `SELECT ${list.join(', ')} FROM (SELECT) AS one LEFT JOIN (`,
    ...rows,
    ') AS q ON false',
  ];
  const result = await collectResult(coordinator, encodeRendered(renderTemplate(template, values), [], false));
  const row = result.rows[0] ?? [];
  return names.map((_, i) => ({ name: castable(row[2 * i] ?? 'text'), oid: Number(row[2 * i + 1]) }));
}

/** `character` alone would mean one character; a literal without a type is text by now. */
export function castable(type: string): string {
  if (type === 'character' || type === 'bit') return type === 'bit' ? 'pg_catalog."bit"' : 'bpchar';
  return type === 'unknown' ? 'text' : type;
}

/** The query whose rows travel: `leading` columns as they are, the others as text. */
export function travellingRows(
  rows: SqlTemplate,
  leading: readonly MotionColumn[],
  columns: readonly TypedColumn[],
  yielded: (index: number) => string,
  values: TemplateValues,
): RenderedSql {
  const own = leading.map(({ name }) => `q.${quoteIdentifier(name)}`);
  const texts = columns.map(({ typeName }, i) => asText(`q.${quoteIdentifier(yielded(i))}`, typeName));
  return renderTemplate([`SELECT ${[...own, ...texts].join(', ')} FROM (`, ...rows, ') AS q'], values);
}

/** The cast of character(n) to text would take its spaces off. */
function asText(sql: string, typeName: string): string {
  if (!/^(bpchar|character\(\d+\))$/.test(typeName)) return `${sql}::text`;
  return `CASE WHEN ${sql} IS NOT NULL THEN pg_catalog.concat(${sql}) END`;
}

/** `(SELECT … FROM unnest(…)) AS name`: rows of `leading` and `columns`, each of its own type. */
export function shippedRows(
  rows: readonly Buffer[],
  leading: readonly MotionColumn[],
  columns: readonly TypedColumn[],
  name: string,
  firstPlaceholder: number,
): RowsItem {
  const travelling = [...leading, ...columns.map((column, i) => textColumn(`pgherd_c${i}`, column))];
  const item = rowsAsUnnest(rows, travelling, 'pgherd_u', firstPlaceholder);
  const own = leading.map((column) => {
    const value = `pgherd_u.${quoteIdentifier(column.name)}`;
    const cast = column.name === 'pgherd_ctid' ? '::tid' : column.viaText ? `::${column.typeName}` : '';
    return `${value}${cast} AS ${quoteIdentifier(column.name)}`;
  });
  const typed = columns.map(({ name: column, typeName, collation }, i) => {
    const collate = collation === null ? '' : ` COLLATE ${collation}`;
    return `pgherd_u.pgherd_c${i}::${typeName}${collate} AS ${quoteIdentifier(column)}`;
  });
  return {
    sql: `(SELECT ${[...own, ...typed].join(', ')} FROM ${item.sql}) AS ${quoteIdentifier(name)}`,
    values: item.values,
  };
}

function textColumn(name: string, { typeName, collation }: TypedColumn): MotionColumn {
  return { name, typeOid: 25, typeName, collation, viaText: true };
}
