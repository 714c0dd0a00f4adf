import type { NodeEntry } from '../catalog/snapshot.ts';
import { unreachable } from '../core/assert.ts';
import { pgError, unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { DistributionClause, NodeChoice, QualifiedName } from '../sql/dialect.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { shardNodes } from './colocation.ts';
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

/** null: all nodes that take new shards. */
async function chosenNodes(tx: HerdTransaction, choice: NodeChoice): Promise<NodeEntry[] | null> {
  switch (choice.kind) {
    case 'all':
      return null;
    case 'group':
      throw unsupported('PH040', `node group "${choice.name}"`, {
        hint: 'Name the nodes: TO NODE (worker1, worker2).',
      });
    case 'nodes': {
      const known = await shardNodes(tx.coordinator, await tx.snapshot());
      return [...new Set(choice.names)].map((name) => {
        const node = known.find((each) => each.name === name);
        if (node) return node;
        throw pgError('undefinedObject', `node "${name}" does not exist, or takes no shards`);
      });
    }
    default:
      return unreachable(choice);
  }
}

/** The table, with its rows, goes where Greenplum's or Postgres-XL's clause sends it. */
export async function distributeByClause(
  tx: HerdTransaction,
  table: QualifiedName,
  { mode, nodes }: DistributionClause,
): Promise<void> {
  const chosen = await chosenNodes(tx, nodes);
  const onNodes = chosen === null ? {} : { nodes: chosen };
  switch (mode.kind) {
    case 'hash': {
      if (mode.modulo) notice(tx, `DISTRIBUTE BY MODULO of ${quoteName(table)} is stored as HASH`);
      if (mode.operatorClasses) notice(tx, 'operator classes of DISTRIBUTED BY are ignored');
      const column = mode.columns.map(quoteIdentifier).join(', ');
      const sharing = { colocateWith: 'default', shardCount: null, shardBounds: null, ...onNodes };
      return createDistributedTable(tx, { table: quoteName(table), column, method: 'hash', ...sharing });
    }
    case 'replicated':
      if (chosen !== null) notice(tx, `every node gets a copy of reference table ${quoteName(table)}`);
      return createReferenceTable(tx, quoteName(table));
    case 'random': {
      const alone = { colocateWith: 'none', shardCount: null, shardBounds: null, ...onNodes };
      return createDistributedTable(tx, { table: quoteName(table), column: '', method: 'random', ...alone });
    }
    default:
      return unreachable(mode);
  }
}
