import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { QueryResult } from '../core/runner.ts';
import type { HerdTransaction } from './herd.ts';
import { byOwner, ownerOf, runAll } from './owner.ts';
import { onNodes } from './place-table.ts';
import { rolesSql } from './shared-objects.ts';

export interface RoleStatement {
  /** The role whose attributes are copied as the coordinator has them; '': the current one; null: none. */
  readonly name: string | null;
  /** Runs on the nodes as it stands, before the attributes are copied; may be empty. */
  readonly nodeText: string;
}

/**
 * Roles are alike on all servers. A password reaches the nodes as the verifier that the coordinator made of it: with
 * another salt, a client's proof of the password would not hold there.
 */
export async function changeRole(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  run: () => Promise<QueryResult>,
  { name, nodeText }: RoleStatement,
): Promise<QueryResult> {
  const result = await run();
  const copied = name === null ? [] : await attributes(tx, name);
  await onNodes(tx, snapshot, async (node) => {
    if (nodeText !== '') await node.query(nodeText);
    // What the coordinator has allowed; some of it no ordinary role may write, even where it changes nothing.
    await runAll(node, copied.map(byOwner));
  });
  return result;
}

async function attributes(tx: HerdTransaction, name: string): Promise<string[]> {
  const owner = ownerOf(tx.coordinator);
  const { rows: facts } = await tx.coordinator.query('SELECT current_user');
  const { rows: rights } = await owner.query(
    'SELECT rolsuper::int FROM pg_catalog.pg_roles WHERE rolname = current_user',
  );
  const { rows } = await owner.query(rolesSql(rights[0]?.[0] === '1', name === '' ? facts[0]![0]! : name));
  return rows.map(([sql]) => sql!);
}
