import { AssertionError, assert, unreachable } from '../core/assert.ts';
import { quoteName, quoteText } from './quote.ts';
import type { KeyColumn, KeyedMethod, ShardBounds } from './snapshot.ts';

/** What stands after PARTITION OF … or ATTACH PARTITION …: `FOR VALUES WITH (MODULUS 32, REMAINDER 7)`. */
export function boundsSql(bounds: ShardBounds): string {
  switch (bounds.kind) {
    case 'hash':
      return `FOR VALUES WITH (MODULUS ${bounds.modulus}, REMAINDER ${bounds.remainder})`;
    case 'range':
      return `FOR VALUES FROM (${edge(bounds.from, 'MINVALUE')}) TO (${edge(bounds.to, 'MAXVALUE')})`;
    case 'list':
      return `FOR VALUES IN (${bounds.values.map((value) => edge(value, 'NULL')).join(', ')})`;
    case 'default':
      return 'DEFAULT';
    case 'random':
      throw new AssertionError('a table that is spread at random has no partitions');
    default:
      return unreachable(bounds);
  }
}

function edge(literal: string | null, otherwise: string): string {
  return literal === null ? otherwise : quoteText(literal);
}

/** What stands after PARTITION BY: `HASH ("tenant", "id")`. */
export function partitionKeySql(method: KeyedMethod, columns: readonly string[]): string {
  return `${method.toUpperCase()} (${columns.map(quoteName).join(', ')})`;
}

/**
 * The CHECK of a DEFAULT leaf: false for every value that some other bound of the group takes, on whatever node. Without it
 * the leaf would swallow rows that belong to another node. Null when there is nothing to exclude.
 */
export function boundsCheckSql(key: KeyColumn, others: readonly ShardBounds[]): string | null {
  const column = quoteName(key.name);
  const taken = others.flatMap((bounds) => boundsCondition(bounds, column, key) ?? []);
  // IS NOT TRUE: a CHECK passes on NULL, and so must this, but `NULL IN (…) OR … IS NULL` must not.
  return taken.length === 0 ? null : `(${taken.map((condition) => `(${condition})`).join(' OR ')}) IS NOT TRUE`;
}

/** True for the values that the bounds take, false or NULL for others; null for DEFAULT, which takes the rest. */
export function boundsCondition(bounds: ShardBounds, value: string, key: KeyColumn): string | null {
  assert(bounds.kind !== 'hash' && bounds.kind !== 'random', 'such bounds are no condition on the value');
  const literal = (text: string) => typed(quoteText(text), key);
  switch (bounds.kind) {
    case 'range': {
      const from = bounds.from === null ? [] : [`${value} >= ${literal(bounds.from)}`];
      const to = bounds.to === null ? [] : [`${value} < ${literal(bounds.to)}`];
      return [`${value} IS NOT NULL`, ...from, ...to].join(' AND ');
    }
    case 'list': {
      const literals = bounds.values.flatMap((text) => (text === null ? [] : [literal(text)]));
      const some = literals.length === 0 ? [] : [`${value} IN (${literals.join(', ')})`];
      return [...some, ...(bounds.values.includes(null) ? [`${value} IS NULL`] : [])].join(' OR ') || 'false';
    }
    case 'default':
      return null;
    default:
      return unreachable(bounds);
  }
}

/** `expression` as a value of the key's type and collation. */
export function typed(expression: string, key: KeyColumn): string {
  const cast = `${expression}::${key.typeName}`;
  return key.collation === null ? cast : `(${cast} COLLATE ${key.collation})`;
}

/**
 * Fails with PostgreSQL's own error when literals are no values of the key's type, a range is empty, or two bounds overlap;
 * leaves nothing behind. Run in the transaction that is to use the bounds.
 */
export function checkBoundsSql(method: 'range' | 'list', key: KeyColumn, bounds: readonly ShardBounds[]): string {
  const collate = key.collation === null ? '' : ` COLLATE ${key.collation}`;
  const column = `${quoteName(key.name)} ${key.typeName}${collate}`;
  return [
    `CREATE TABLE pgherd.bounds (${column}) PARTITION BY ${partitionKeySql(method, [key.name])}`,
    ...bounds.map((each, i) => `CREATE TABLE pgherd.shard_${i} PARTITION OF pgherd.bounds ${boundsSql(each)}`),
    'DROP TABLE pgherd.bounds',
  ].join(';\n');
}

/**
 * One parameter, a text[] of literals as the user wrote them; gives a row each, the value in PostgreSQL's own output form, as
 * bounds are kept. DateStyle and IntervalStyle are to be ISO and postgres when it runs.
 */
export function canonicalLiteralsSql(key: KeyColumn): string {
  return `SELECT (v.literal::${key.typeName})::text FROM unnest($1::text[]) WITH ORDINALITY AS v(literal, place) ORDER BY v.place`;
}
