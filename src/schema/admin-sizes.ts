import { askShard } from '../catalog/ask.ts';
import type { DistributedTable } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import { quoteLiteral, quoteQualified } from '../sql/quote.ts';
import { tableOid } from './distribute.ts';
import type { HerdTransaction } from './herd.ts';
import { onNodes } from './place-table.ts';

export type SizeFunction = 'pg_table_size' | 'pg_relation_size' | 'pg_total_relation_size';

/** citus_table_size() and its kin: bytes of all shards, or of all copies. */
export async function distributedSize(tx: HerdTransaction, table: string, size: SizeFunction): Promise<number> {
  const { entry, snapshot } = await distributedTable(tx, table);
  const name = quoteLiteral(quoteQualified(entry.schema, entry.name));
  // A plain table is no partition tree.
  const leaves = `SELECT sum(${size}(t.relid)) FROM pg_partition_tree(${name}::regclass) t WHERE t.isleaf`;
  const sql = `SELECT coalesce((${leaves}), ${size}(${name}::regclass))`;
  const sites = await onNodes(tx, snapshot, (node) => node.query(sql));
  const own =
    entry.distribution.kind === 'reference' ? [await tx.coordinator.query(`SELECT ${size}(${name}::regclass)`)] : [];
  return [...sites, ...own].reduce((sum, { rows }) => sum + Number(rows[0]![0]), 0);
}

/** get_shard_id_for_distribution_column(): null where no shard takes the value. */
export async function shardIdForValue(
  tx: HerdTransaction,
  table: string,
  value: string | null,
): Promise<number | null> {
  const { entry } = await distributedTable(tx, table);
  const { distribution } = entry;
  if (distribution.kind === 'reference') return distribution.shardId;
  if (distribution.keys.length !== 1) {
    const what = distribution.keys.length > 1 ? 'several distribution columns' : 'no distribution column';
    throw pgError('featureNotSupported', `table "${entry.name}" has ${what}`);
  }
  const key = value === null ? null : ({ format: 0, bytes: Buffer.from(value, 'utf8') } as const);
  const shard = await askShard(tx.coordinator, entry, [key]);
  return shard === 'none' ? null : (distribution.shardIds[shard] ?? null);
}

async function distributedTable(tx: HerdTransaction, table: string) {
  const snapshot = await tx.snapshot();
  const entry: DistributedTable | null | undefined = snapshot.relationsByOid.get(
    await tableOid(tx.coordinator, table),
  )?.distributed;
  if (entry) return { entry, snapshot };
  throw pgError('invalidTableDefinition', `relation "${table}" is not distributed`);
}
