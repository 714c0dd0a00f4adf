import { type ShardingOptions, ShardingStrategy } from 'pgherd/sdk';
import { distributions, tablesSql } from './tables.ts';

/** The library alone: `shardsPerServer` schemas on each server, so that shards can move to servers of their own one day. */
export async function openOnServers(
  servers: readonly string[],
  shardsPerServer: number,
  options: Omit<ShardingOptions, 'shards'> = {},
): Promise<ShardingStrategy> {
  const shards = Array.from({ length: servers.length * shardsPerServer }, (_, i) => {
    const url = new URL(servers[i % servers.length]!);
    url.searchParams.set('schema', `shop_${i}`);
    return url.href;
  });
  const sharding = new ShardingStrategy({ name: 'shop', ...options, shards });
  for (const shard of shards.keys()) await sharding.executeOnShard(shard, `CREATE SCHEMA IF NOT EXISTS shop_${shard}`);
  for (const sql of tablesSql.split(';')) await sharding.executeDistributedQuery(sql);
  // What a process that died left half done.
  await sharding.recover();
  return sharding;
}

/** A router is one shard that holds everything: the same program, and the router does the rest. */
export async function openOnRouter(
  router: string,
  options: Omit<ShardingOptions, 'shards'> = {},
): Promise<ShardingStrategy> {
  const sharding = new ShardingStrategy({ name: 'shop', ...options, shards: [router] });
  const [known] = await sharding.executeOnShard(0, "SELECT to_regclass('payments') IS NOT NULL AS known");
  if (known?.['known'] === true) return sharding;
  for (const sql of tablesSql.split(';')) await sharding.executeOnShard(0, sql);
  for (const { table, column, with: group } of distributions) {
    await sharding.executeOnShard(0, 'SELECT create_distributed_table($1::regclass, $2, colocate_with := $3)', [
      ...[table, column, group],
    ]);
  }
  return sharding;
}
