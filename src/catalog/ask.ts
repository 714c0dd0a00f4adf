import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { boundsCondition, typed } from './bounds-sql.ts';
import type { KeyValue } from './hash/datum.ts';
import { combineInto, parseSignedBigInt, partitionSeedSql, remainderOf, zeroHash } from './hash/hash64.ts';
import { defaultShard, shardsByRemainder } from './shards.ts';
import type { ColocationGroup, DistributedTable, Distribution, KeyColumn } from './snapshot.ts';

type Distributed = Extract<Distribution, { kind: 'distributed' }>;

/**
 * Where rows go of which a router said 'ask': PostgreSQL reads the values, and hashes or compares them. The runner must be
 * a connection to the coordinator with the client's TimeZone, DateStyle and IntervalStyle, for texts are read under them.
 */
export async function askShards(
  runner: SqlRunner,
  table: DistributedTable,
  rows: readonly (readonly KeyValue[])[],
): Promise<(number | 'none')[]> {
  const { distribution } = table;
  assert(distribution.kind === 'distributed', 'a reference table has no distribution columns');
  const arrays = distribution.keys.map((key, i) => arrayLiteral(rows.map((row) => textOf(row[i] ?? null, key))));
  const answer = await runner.query(askSql(distribution), arrays);
  return answer.rows.map((row) => readAnswer(distribution, row));
}

/** The same for one row. */
export async function askShard(
  runner: SqlRunner,
  table: DistributedTable,
  values: readonly KeyValue[],
): Promise<number | 'none'> {
  const [shard] = await askShards(runner, table, [values]);
  assert(shard !== undefined, 'one row in, one row out');
  return shard;
}

/**
 * One parameter per key, a text[] with the values of all rows. Gives a row each: for HASH the key's hashes as bigint (NULL
 * for NULL), for RANGE and LIST the shard's index or NULL. To be read with readAnswer().
 */
export function askSql({ keys, group }: Distributed): string {
  const columns = keys.map((_, i) => `k${i + 1}`);
  const unnest = keys.map((_, i) => `$${i + 1}::text[]`).join(', ');
  const values = keys.map((key, i) => typed(`v.${columns[i]}`, key));
  const wanted =
    group.method === 'hash'
      ? values.map((value, i) => `CASE WHEN v.${columns[i]} IS NOT NULL THEN ${partitionHashSql(value)} END`).join(', ')
      : boundsCase(group, values[0]!, keys[0]!);
  return `SELECT ${wanted} FROM unnest(${unnest}) WITH ORDINALITY AS v(${columns.join(', ')}, place) ORDER BY v.place`;
}

export function readAnswer({ group }: Distributed, row: readonly (string | null)[]): number | 'none' {
  if (group.method !== 'hash') return row[0] == null ? 'none' : Number(row[0]);
  const hash = zeroHash();
  for (const text of row) if (text !== null) combineInto(hash, parseSignedBigInt(text));
  const shards = shardsByRemainder(group);
  return shards[remainderOf(hash, shards.length)]!;
}

/**
 * The hash of a record of one column is that of the column: by its type's default hash class, whatever the type, and with no
 * need to know the function's name (which takes other types than its own: hashint4extended is the one of date up to 17).
 */
export function partitionHashSql(value: string): string {
  return `pg_catalog.hash_record_extended(ROW(${value}), ${partitionSeedSql})`;
}

function boundsCase(group: ColocationGroup, value: string, key: KeyColumn): string {
  const otherwise = defaultShard(group);
  const cases = group.shards.flatMap(({ index, bounds }) => {
    const condition = boundsCondition(bounds, value, key);
    return condition === null ? [] : [`WHEN ${condition} THEN ${index}`];
  });
  return `CASE ${cases.join(' ') || 'WHEN false THEN 0'} ELSE ${otherwise === 'none' ? 'NULL' : otherwise} END`;
}

/** Values travel as text here. Few types have a binary form that is their text; others must be routed in text form. */
function textOf(value: KeyValue, key: KeyColumn): string | null {
  if (value === null) return null;
  if (value.format === 0) return value.bytes.toString('utf8');
  if (key.typeName === 'jsonb' && value.bytes[0] === jsonbVersion) return value.bytes.toString('utf8', 1);
  throw unsupported('PH003', `a distribution column of type ${key.typeName} got a value in binary form`, {
    hint: 'Send values of this type in text form.',
  });
}

const jsonbVersion = 1;

/** An array in PostgreSQL's text form. */
function arrayLiteral(values: readonly (string | null)[]): string {
  const elements = values.map((value) => (value === null ? 'NULL' : `"${value.replace(/["\\]/g, '\\$&')}"`));
  return `{${elements.join(',')}}`;
}
