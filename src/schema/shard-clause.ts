import type { ShardBounds } from '../catalog/snapshot.ts';
import { unreachable } from '../core/assert.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/quote.ts';

/** What stands behind `PARTITION OF parent` for a leaf with these bounds. */
export function partitionClause(bounds: ShardBounds): string {
  switch (bounds.kind) {
    case 'hash':
      return `FOR VALUES WITH (MODULUS ${bounds.modulus}, REMAINDER ${bounds.remainder})`;
    case 'range':
      return `FOR VALUES FROM (${edge(bounds.from, 'MINVALUE')}) TO (${edge(bounds.to, 'MAXVALUE')})`;
    case 'list':
      return `FOR VALUES IN (${bounds.values.map((value) => edge(value, 'NULL')).join(', ')})`;
    case 'default':
      return 'DEFAULT';
    default:
      return unreachable(bounds);
  }
}

/**
 * The CHECK that a DEFAULT leaf carries: it excludes the bounds of every other shard, also of those on other nodes, which
 * PostgreSQL there does not know. Null in a RANGE key goes into DEFAULT.
 */
export function defaultShardCheck(column: string, type: string, others: readonly ShardBounds[]): string {
  const key = quoteIdentifier(column);
  const literal = (value: string) => `${quoteLiteral(value)}::${type}`;
  const excluded = others.flatMap((bounds) => {
    switch (bounds.kind) {
      case 'range': {
        const from = bounds.from === null ? [] : [`${key} >= ${literal(bounds.from)}`];
        const to = bounds.to === null ? [] : [`${key} < ${literal(bounds.to)}`];
        return [[...from, ...to, `${key} IS NOT NULL`].join(' AND ')];
      }
      case 'list':
        return bounds.values.map((value) =>
          value === null ? `${key} IS NULL` : `${key} IS NOT DISTINCT FROM ${literal(value)}`,
        );
      case 'hash':
      case 'default':
        return [];
      default:
        return unreachable(bounds);
    }
  });
  return excluded.length === 0 ? 'true' : `NOT (${excluded.map((condition) => `(${condition})`).join(' OR ')})`;
}

function edge(value: string | null, none: string): string {
  return value === null ? none : quoteLiteral(value);
}
