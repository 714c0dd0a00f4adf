import { unreachable } from '../core/assert.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { DistributionClause, QualifiedName } from '../sql/dialect.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { createDistributedTable, notice } from './distribute.ts';
import type { HerdTransaction } from './herd.ts';
import { createReferenceTable } from './reference.ts';

/** A name as regclass reads it. */
export function quoteName({ schema, name }: QualifiedName): string {
  return schema === null ? quoteIdentifier(name) : quoteQualified(schema, name);
}

export async function relationExists(runner: SqlRunner, table: QualifiedName): Promise<boolean> {
  const { rows } = await runner.query('SELECT to_regclass($1) IS NOT NULL', [quoteName(table)]);
  return rows[0]?.[0] === 't';
}

/** The table, with its rows, goes where Greenplum's or Postgres-XL's clause sends it. */
export async function distributeByClause(
  tx: HerdTransaction,
  table: QualifiedName,
  { mode }: DistributionClause,
): Promise<void> {
  switch (mode.kind) {
    case 'hash': {
      if (mode.modulo) notice(tx, `DISTRIBUTE BY MODULO of ${quoteName(table)} is stored as HASH`);
      if (mode.operatorClasses) notice(tx, 'operator classes of DISTRIBUTED BY are ignored');
      const column = mode.columns.map(quoteIdentifier).join(', ');
      const sharing = { colocateWith: 'default', shardCount: null, shardBounds: null };
      return createDistributedTable(tx, { table: quoteName(table), column, method: 'hash', ...sharing });
    }
    case 'replicated':
      return createReferenceTable(tx, quoteName(table));
    case 'random': {
      const alone = { colocateWith: 'none', shardCount: null, shardBounds: null };
      return createDistributedTable(tx, { table: quoteName(table), column: '', method: 'random', ...alone });
    }
    default:
      return unreachable(mode);
  }
}
