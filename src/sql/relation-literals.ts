import type { A_Expr, Node } from '@pgsql/types';
import type { RawStatement } from './parse.ts';
import { createSource, type Edit, positionOf, type SqlSource, splice } from './source.ts';
import { nameParts, walk } from './walk.ts';

/** Columns of the compatibility views that hold a regclass. */
const relationColumns = new Set(['table_name', 'logicalrelid']);

const compatibilityViews = /^(citus_(tables|shards)|pg_dist_(partition|shard))$/;

/**
 * `WHERE table_name = 'orders'` over a view of the catalog: PostgreSQL would read the bare literal as an OID, since regclass has no
 * operators of its own. The literal gets the cast that is meant; null when there is none.
 */
export function castRelationLiterals(statement: RawStatement): string | null {
  let readsView = false;
  const literals: number[] = [];
  walk(statement.node, (kind, fields) => {
    if (kind === 'RangeVar') readsView ||= compatibilityViews.test((fields as { relname?: string }).relname ?? '');
    else if (kind === 'A_Expr') literals.push(...literalsIn(fields));
    return undefined;
  });
  if (!readsView || literals.length === 0) return null;
  const source = createSource(statement);
  return splice<never>(
    source,
    literals.map((location) => castAfter(source, location)),
  ).join('');
}

/** Locations of string literals that an expression compares with a column of regclass. */
function literalsIn(expression: A_Expr): number[] {
  const operator = nameParts(expression.name).at(-1);
  if (operator !== '=' && operator !== '<>') return [];
  const { lexpr, rexpr } = expression;
  const other = isRelationColumn(lexpr) ? rexpr : isRelationColumn(rexpr) ? lexpr : undefined;
  if (other === undefined) return [];
  const values = 'List' in other ? (other.List.items ?? []) : [other];
  return values.flatMap((value) => ('A_Const' in value && value.A_Const.sval ? [value.A_Const.location ?? 0] : []));
}

function isRelationColumn(node: Node | undefined): boolean {
  return (
    node !== undefined && 'ColumnRef' in node && relationColumns.has(nameParts(node.ColumnRef.fields).at(-1) ?? '')
  );
}

function castAfter(source: SqlSource, location: number): Edit<never> {
  const start = positionOf(source, location);
  const end = source.tokens().find((token) => token.start === start)?.end ?? start;
  return { start: end, end, parts: ['::pg_catalog.regclass'] };
}
