import { boundsSql } from '../catalog/bounds-sql.ts';
import { type CatalogSnapshot, type DistributedTable, isKeyed } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { createDistributedTable, type DistributeArguments, tableOid } from './distribute.ts';
import type { HerdTransaction } from './herd.ts';
import { foreignKeyClosure, undistributeAll } from './undistribute.ts';

export interface AlterArguments {
  readonly table: string;
  readonly column: string | null;
  readonly shardCount: number | null;
  readonly colocateWith: string | null;
  readonly cascadeToColocated: boolean | null;
}

/**
 * alter_distributed_table(): takes the table back and distributes it anew, in one transaction. Tables that foreign keys tie
 * to it go along when `cascade_to_colocated` says that the whole group is to.
 */
export async function alterDistributedTable(tx: HerdTransaction, args: AlterArguments): Promise<void> {
  const { column, shardCount, colocateWith } = args;
  if (column === null && shardCount === null && colocateWith === null) {
    throw pgError('invalidParameterValue', 'give at least one of distribution_column, shard_count and colocate_with');
  }
  const oid = await tableOid(tx.coordinator, args.table);
  const snapshot = await tx.snapshot();
  const table = snapshot.relationsByOid.get(oid)?.distributed;
  if (table?.distribution.kind !== 'distributed') {
    throw pgError('invalidTableDefinition', `table "${args.table}" is not a distributed table`);
  }
  checkAsksForChange(table, args);
  const others = await tablesAlong(tx, snapshot, table, args);
  await undistributeAll(
    tx,
    snapshot,
    [oid, ...others.map((other) => other.oid)].sort((a, b) => a - b),
  );
  const first = written(table, { ...args, colocateWith: colocateWith ?? (shardCount === null ? 'default' : 'none') });
  const target = quoteQualified(table.schema, table.name);
  const all = [
    { table, wish: first },
    ...others.map((other) => ({
      table: other,
      wish: written(other, { column: null, shardCount: null, colocateWith: target }),
    })),
  ];
  for (const { wish } of await inReferenceOrder(tx, all)) await createDistributedTable(tx, wish);
}

/** Moving all rows for nothing is a mistake. */
function checkAsksForChange(
  { name, distribution }: DistributedTable,
  { column, shardCount, colocateWith }: AlterArguments,
): void {
  if (distribution.kind !== 'distributed' || colocateWith !== null) return;
  const sameCount = shardCount === null || shardCount === distribution.group.shards.length;
  const keys = distribution.keys.map((key) => key.name);
  const sameColumn = column === null || (keys.length === 1 && column === keys[0]);
  if (!sameCount || !sameColumn) return;
  const what = shardCount === null ? `is already distributed by "${column}"` : `has ${shardCount} shards already`;
  throw pgError('invalidParameterValue', `table "${name}" ${what}`);
}

async function tablesAlong(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  table: DistributedTable,
  args: AlterArguments,
): Promise<DistributedTable[]> {
  const tied = (await foreignKeyClosure(tx.coordinator, snapshot, table.oid)).filter((oid) => oid !== table.oid);
  const groupId = groupOf(table);
  const group = [...snapshot.relationsByOid.values()].flatMap((relation) =>
    relation.distributed &&
    relation.oid !== table.oid &&
    groupOf(relation.distributed) === groupId &&
    !relation.schema.startsWith('pgherd_')
      ? [relation.distributed]
      : [],
  );
  if (args.shardCount !== null && args.cascadeToColocated === null && tied.length === 0 && group.length > 0) {
    throw pgError('invalidParameterValue', 'cascade_to_colocated parameter is necessary', {
      detail: `Table "${table.name}" is co-located with ${group.map((other) => other.name).join(', ')}.`,
      hint: 'cascade_to_colocated := false breaks the co-location, cascade_to_colocated := true alters them all.',
    });
  }
  if (args.cascadeToColocated !== true) {
    if (tied.length === 0) return [];
    throw pgError('objectNotInPrerequisiteState', `foreign keys tie table "${table.name}" to co-located tables`, {
      hint: 'Use cascade_to_colocated := true to alter all of them, or drop the foreign keys first.',
    });
  }
  if (args.column !== null) {
    throw pgError('invalidParameterValue', 'distribution_column cannot be changed together with cascade_to_colocated');
  }
  return group;
}

function groupOf(table: DistributedTable): number | null {
  return table.distribution.kind === 'distributed' ? table.distribution.group.id : null;
}

/** The arguments that distribute a table as it is, but for what is asked. */
export function written(
  table: DistributedTable,
  change: { readonly column: string | null; readonly shardCount: number | null; readonly colocateWith: string },
): DistributeArguments {
  const { distribution } = table;
  if (distribution.kind !== 'distributed')
    throw pgError('internalError', 'a reference table has no distribution column');
  const { group, keys } = distribution;
  const joins = change.colocateWith !== 'default' && change.colocateWith !== 'none';
  // A column makes a HASH table of one whose rows are spread at random.
  const method = group.method === 'random' && change.column !== null ? 'hash' : group.method;
  const bounds = isKeyed(distribution)
    ? group.shards.map((shard) => boundsSql(shard.bounds).replace(/^FOR VALUES /, '')).join('; ')
    : '';
  return {
    table: quoteQualified(table.schema, table.name),
    column: change.column ?? keys.map((key) => quoteIdentifier(key.name)).join(', '),
    method,
    colocateWith: change.colocateWith,
    shardCount:
      method === 'hash' ? (change.shardCount ?? (joins || !isKeyed(distribution) ? null : group.shards.length)) : null,
    shardBounds: method === 'hash' || method === 'random' || joins || bounds === '' ? null : bounds,
  };
}

/** A foreign key can be checked only against a table that is distributed already; the altered table decides the group, so it comes first if it can. */
export async function inReferenceOrder<T extends { readonly table: { readonly oid: number } }>(
  tx: HerdTransaction,
  all: readonly T[],
): Promise<T[]> {
  const { rows } = await tx.coordinator.query(
    "SELECT conrelid, confrelid FROM pg_catalog.pg_constraint WHERE contype = 'f' AND conrelid <> confrelid",
  );
  const waiting = [...all];
  const ordered: T[] = [];
  while (waiting.length > 0) {
    const ready = waiting.findIndex(({ table }) =>
      rows.every(
        ([from, to]) => Number(from) !== table.oid || !waiting.some((other) => other.table.oid === Number(to)),
      ),
    );
    ordered.push(...waiting.splice(Math.max(ready, 0), 1));
  }
  return ordered;
}
