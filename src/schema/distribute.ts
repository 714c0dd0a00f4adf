import type {
  CatalogSnapshot,
  ColocationGroup,
  DistributedTable,
  DistributionMethod,
  NodeEntry,
  ShardBounds,
} from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { pgError, unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { hashBounds, joinGroup, sameBounds, shardNodes } from './colocation.ts';
import { describeTables, withPinnedSettings } from './describe-table.ts';
import { type DistributionKey, readDistributionKey } from './distribution-key.ts';
import { loosenIncomingKeys, validateForeignKeys } from './foreign-keys.ts';
import { createGlobalIndex, hiddenColumns, hiddenRowsSql } from './global-index.ts';
import { guardShellSql, withShellAccess } from './guard.ts';
import type { HerdTransaction } from './herd.ts';
import { arrangeKeyWatches } from './key-watches.ts';
import { ownerOf } from './owner.ts';
import { pauseTriggersSql, resumeTriggersSql } from './pause-triggers.ts';
import { placeTable, recordTable, runAll } from './place-table.ts';
import { checkPolicies } from './policy-rules.ts';
import { checkBoundsApart, readShardBounds } from './shard-bounds.ts';
import { checkDistributable } from './table-rules.ts';
import type { TableShape } from './table-shape.ts';
import { divideKeys, type GlobalKey } from './unique-keys.ts';

export interface DistributeArguments {
  /** As regclass reads it. */
  readonly table: string;
  readonly column: string;
  readonly method: DistributionMethod;
  /** `default`, `none`, or a table as regclass reads it. */
  readonly colocateWith: string;
  readonly shardCount: number | null;
  /** Of RANGE and LIST: see readShardBounds(). Without it there are no shards until pgherd_add_shard() makes some. */
  readonly shardBounds: string | null;
  /** Where its shards may be; left out: on all nodes that take new ones. */
  readonly nodes?: readonly NodeEntry[];
  /** The co-location group that it joins, whatever else is said: that of its schema. */
  readonly groupId?: number;
}

/** create_distributed_table(): the table, with its rows and all that hangs on it, moves to the nodes. */
export async function createDistributedTable(tx: HerdTransaction, args: DistributeArguments): Promise<void> {
  const oid = await tableOid(tx.coordinator, args.table);
  const snapshot = await tx.snapshot();
  const existing = snapshot.relationsByOid.get(oid)?.distributed;
  if (existing) return acceptSameAgain(tx, snapshot, existing, args);
  const shape = await lockAndDescribe(tx.coordinator, oid);
  const key = await readDistributionKey(tx.coordinator, shape, args.column, args.method);
  const target = await colocationTarget(tx, snapshot, args);
  const bounds = await wantedBounds(tx, args, key, target);
  const placedBy = placing(args.method, key, bounds.length);
  checkDistributable(shape, placedBy);
  const groupId = await joinGroup(tx, snapshot, {
    method: args.method,
    key,
    bounds,
    colocateWith: target,
    nodes: args.nodes ?? null,
  });
  checkPolicies({ shape, distribution: { key: key.attnums, groupId } }, snapshot);
  await recordTable(tx.coordinator, { oid, method: args.method, key: key.attnums, groupId });
  tx.changed();
  const shardCount = args.method === 'hash' ? bounds.length : 0;
  await distributeRows(tx, { shape, key, shardCount, placedBy });
  await arrangeKeyWatches(tx);
}

/** What is left when the catalog knows where the rows belong. Used again by alter_distributed_table(). */
async function distributeRows(
  tx: HerdTransaction,
  owner: {
    readonly shape: TableShape;
    readonly key: DistributionKey;
    readonly shardCount: number;
    readonly placedBy: readonly number[] | null;
  },
): Promise<void> {
  const { shape, placedBy } = owner;
  const { global } = divideKeys(shape, placedBy);
  for (const globalKey of global) await createGlobalIndex(tx, owner, globalKey);
  const snapshot = await tx.snapshot();
  await placeTable(tx, shape, snapshot, (table) => copyAway(tx, shape, table, global, snapshot));
  const restore = await loosenIncomingKeys(tx, shape.oid, snapshot);
  const empty = `TRUNCATE ONLY ${shape.quotedName}`;
  const fires = shape.triggers.some(({ events }) => events.includes('truncate'));
  await runAll(tx.coordinator, fires ? [...pauseTriggersSql(shape), empty, ...resumeTriggersSql(shape)] : [empty]);
  await withShellAccess(tx.coordinator, () => runAll(tx.coordinator, restore));
  await runAll(tx.coordinator, guardShellSql(shape));
  await validateForeignKeys(tx.coordinator, shape);
}

/** What says where a row is; null: nothing. */
function placing(method: DistributionMethod, key: DistributionKey, shards: number): readonly number[] | null {
  return method === 'random' && shards > 1 ? null : key.attnums;
}

async function copyAway(
  tx: HerdTransaction,
  shape: TableShape,
  table: DistributedTable,
  global: readonly GlobalKey[],
  snapshot: CatalogSnapshot,
): Promise<void> {
  const from = `ONLY ${shape.quotedName}`;
  const { rows } = await tx.coordinator.query(`SELECT EXISTS (SELECT FROM ${from})`);
  if (rows[0]?.[0] !== 't') return;
  notice(tx, `copying the rows of ${shape.quotedName} to the nodes ...`);
  const columns = storedColumns(shape, table);
  const copied = await tx.copyRows(`SELECT ${columns.map(quoteIdentifier).join(', ')} FROM ${from}`, table, columns);
  for (const globalKey of global) {
    const hidden = hiddenTable(table, globalKey, snapshot);
    const hiddenShape = hiddenColumns(shape, globalKey, keyAttnums(table));
    const names = hiddenShape.map((column) => column.name);
    await tx.copyRows(hiddenRowsSql(shape, globalKey, hiddenShape, from), hidden, names);
  }
  await ownerOf(tx.coordinator).query('UPDATE pgherd.dist_table SET estimated_rows = $2 WHERE relation = $1', [
    String(shape.oid),
    String(copied),
  ]);
  notice(tx, `copied ${copied} rows of ${shape.quotedName}`);
}

/** Columns that COPY may name: not the generated ones, unless they are the key, which is a plain column on nodes. */
export function storedColumns(shape: TableShape, table: DistributedTable | null): string[] {
  const key = table ? keyAttnums(table) : [];
  return shape.columns
    .filter((column) => column.generated === '' || key.includes(column.attnum))
    .map((column) => column.name);
}

function keyAttnums(table: DistributedTable): number[] {
  return table.distribution.kind === 'distributed' ? table.distribution.keys.map((key) => key.attnum) : [];
}

function hiddenTable(table: DistributedTable, key: GlobalKey, snapshot: CatalogSnapshot): DistributedTable {
  assert(table.distribution.kind === 'distributed', 'only distributed tables have global unique indexes');
  const index = table.distribution.globalIndexes.find((candidate) => candidate.name === key.name);
  const hidden = index && snapshot.relations.get(index.hiddenSchema)?.get(index.hiddenName)?.distributed;
  assert(hidden, `the hidden table of ${key.name} was just made`);
  return hidden;
}

export function notice(tx: HerdTransaction, message: string, hint?: string): void {
  tx.notice({ severity: 'NOTICE', code: '00000', message, ...(hint ? { hint } : {}) });
}

export async function tableOid(runner: SqlRunner, name: string): Promise<number> {
  const { rows } = await runner.query('SELECT $1::regclass::oid', [name]);
  return Number(rows[0]![0]);
}

/** As for ALTER TABLE. Rows that row security hides even from the owner would get lost. */
export async function requireOwner(runner: SqlRunner, oid: number): Promise<void> {
  const { rows } = await runner.query(
    `SELECT c.relname, pg_catalog.pg_has_role(c.relowner, 'USAGE'), c.relrowsecurity AND c.relforcerowsecurity
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = current_user AND (r.rolsuper OR r.rolbypassrls))
    FROM pg_catalog.pg_class c WHERE c.oid = $1::oid AND c.relkind IN ('r', 'p')`,
    [String(oid)],
  );
  const [name, isOwner, hidesRows] = rows[0] ?? [];
  if (isOwner === 'f') throw pgError('insufficientPrivilege', `must be owner of table ${name}`);
  if (hidesRows === 't') {
    throw pgError('insufficientPrivilege', `row security is forced on table "${name}", and may hide some of its rows`, {
      hint: 'ALTER TABLE … NO FORCE ROW LEVEL SECURITY first, or do it as a role with BYPASSRLS.',
    });
  }
}

export async function lockAndDescribe(runner: SqlRunner, oid: number): Promise<TableShape> {
  await requireOwner(runner, oid);
  const [before] = await describeTables(runner, [oid]);
  if (before?.kind === 'r') await runner.query(`LOCK TABLE ${before.quotedName} IN ACCESS EXCLUSIVE MODE`);
  const [shape] = await describeTables(runner, [oid]);
  if (!shape) throw pgError('undefinedTable', `relation with OID ${oid} does not exist`);
  return shape;
}

async function colocationTarget(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  args: DistributeArguments,
): Promise<'default' | 'none' | ColocationGroup> {
  const { colocateWith, groupId } = args;
  if (groupId !== undefined) return snapshot.groups.get(groupId)!;
  if (colocateWith === 'default' || colocateWith === 'none') return colocateWith;
  const other = snapshot.relationsByOid.get(await tableOid(tx.coordinator, colocateWith))?.distributed;
  if (other?.distribution.kind === 'distributed') return other.distribution.group;
  throw pgError('invalidParameterValue', `relation "${colocateWith}" is not a distributed table`);
}

async function wantedBounds(
  tx: HerdTransaction,
  args: DistributeArguments,
  key: DistributionKey,
  target: 'default' | 'none' | ColocationGroup,
): Promise<readonly ShardBounds[]> {
  const { method, shardCount, shardBounds } = args;
  if (method === 'hash') {
    if (shardBounds !== null) throw unsupported('PH037', 'shard_bounds is for RANGE and LIST; HASH takes shard_count');
    const count = shardCount ?? (typeof target === 'object' ? target.shards.length : await settingShardCount(tx));
    if (count < 1) throw pgError('invalidParameterValue', 'shard_count must be at least 1');
    if (typeof target === 'object' && count !== target.shards.length) {
      throw pgError('invalidParameterValue', 'shard_count and colocate_with contradict each other', {
        hint: 'Leave shard_count out: the co-located table decides it.',
      });
    }
    return hashBounds(count);
  }
  if (method === 'random') {
    if (typeof target === 'object') return target.shards.map((shard) => shard.bounds);
    const nodes = args.nodes ?? (await shardNodes(tx.coordinator, await tx.snapshot()));
    return nodes.map(() => ({ kind: 'random' }));
  }
  if (shardCount !== null && shardBounds === null && typeof target !== 'object') {
    throw unsupported('PH037', `distribution by ${method.toUpperCase()} takes shard_bounds, not shard_count`);
  }
  if (shardBounds === null) return typeof target === 'object' ? target.shards.map((shard) => shard.bounds) : [];
  const bounds = await withPinnedSettings(tx.coordinator, () =>
    readShardBounds(tx.coordinator, shardBounds, method, key),
  );
  await checkBoundsApart(tx.coordinator, bounds, method, key);
  if (
    typeof target === 'object' &&
    !sameBounds(
      bounds,
      target.shards.map((shard) => shard.bounds),
    )
  ) {
    throw unsupported('PH037', 'shard_bounds differ from those of the table named by colocate_with');
  }
  return bounds;
}

/** `SET citus.shard_count = 64` works as users of Citus expect. */
async function settingShardCount(tx: HerdTransaction): Promise<number> {
  const { rows } = await tx.coordinator.query(
    "SELECT coalesce(nullif(current_setting('pgherd.shard_count', true), ''), nullif(current_setting('citus.shard_count', true), ''))",
  );
  return Number(rows[0]?.[0] ?? tx.defaultShardCount);
}

/** A migration that is run twice is no error, as long as it asks for what is there. */
async function acceptSameAgain(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  table: DistributedTable,
  args: DistributeArguments,
): Promise<void> {
  const { distribution } = table;
  const differs = (what: string) =>
    pgError('invalidTableDefinition', `table "${table.name}" is already distributed`, {
      detail: `It has ${what}.`,
      hint: 'Change it with alter_distributed_table(), or undistribute_table() first.',
    });
  if (distribution.kind === 'reference') throw differs('been made a reference table');
  const [shape] = await describeTables(tx.coordinator, [table.oid]);
  const key = await readDistributionKey(tx.coordinator, shape!, args.column, args.method);
  const { keys, group } = distribution;
  if (key.attnums.join() !== keys.map((column) => column.attnum).join()) {
    throw differs(`the distribution column ${keys.map((column) => column.name).join(', ')}`);
  }
  if (args.method !== group.method) throw differs(`the distribution type ${group.method}`);
  if (args.shardCount !== null && args.shardCount !== group.shards.length)
    throw differs(`${group.shards.length} shards`);
  const target = await colocationTarget(tx, snapshot, args);
  if (typeof target === 'object' && target.id !== group.id) throw differs('its shards in another co-location group');
  if (args.shardBounds !== null) {
    const bounds = await wantedBounds(tx, args, key, 'default');
    const same = sameBounds(
      bounds,
      group.shards.map((shard) => shard.bounds),
    );
    if (!same) throw differs('other shard bounds');
  }
  notice(tx, `table "${table.name}" is already distributed this way, nothing to do`);
}
