import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { QueryResult } from '../core/runner.ts';
import type { HerdTransaction } from './herd.ts';
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
  const statements = nodeText === '' ? [] : [nodeText];
  if (name !== null) statements.push(...(await attributes(tx, name)));
  await onNodes(tx, snapshot, async (node) => {
    for (const statement of statements) await node.query(statement);
  });
  return result;
}

async function attributes(tx: HerdTransaction, name: string): Promise<string[]> {
  const { rows: facts } = await tx.coordinator.query("SELECT current_setting('is_superuser'), current_user");
  const [superuser, current] = facts[0]!;
  const { rows } = await tx.coordinator.query(rolesSql(superuser === 'on', name === '' ? current! : name));
  return rows.map(([sql]) => sql!);
}
