import { randomUUID } from 'node:crypto';
import type { TriggerFiring } from '../catalog/statement-trigger.ts';
import { unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../sql/quote.ts';
import { openFiringSql } from './guard-sql.ts';
import { ownerOf } from './owner.ts';

/**
 * Fires a shell's statement triggers BEFORE or AFTER a change that happens on the nodes: a statement of the same kind that touches no row
 * of the shell. Its triggers of the other kind are kept still by session_replication_role, which the statement's own WHERE changes
 * when those before it have fired and those after it have not.
 */
export async function fireTriggers(
  runner: SqlRunner,
  { firing, when }: { readonly firing: TriggerFiring; readonly when: 'before' | 'after' },
  run: (sql: string, nonce: string) => Promise<void>,
): Promise<void> {
  const owner = ownerOf(runner);
  const nonce = randomUUID();
  const { rows } = await owner.query(openFiringSql(nonce, when === 'before' ? null : 'replica'));
  const [role = 'origin', gate] = rows[0] ?? [];
  if (gate !== 't' && gate !== 'true') {
    throw unsupported(
      'PH033',
      `a statement trigger of "${firing.table.name}", where the router is no superuser on the coordinator,`,
    );
  }
  // As on one server: triggers of a session that plays a replica stay still.
  if (role !== 'replica') await run(firingSql(firing, when === 'before' ? 'replica' : (role ?? 'origin')), nonce);
  const closed = await owner.query(
    `SELECT current_setting('pgherd.gate') AS gate, set_config('session_replication_role', ${quoteLiteral(role ?? 'origin')}, true) AS a,
      set_config('pgherd.firing', '', true) AS b`,
  );
  if (role === 'replica' || closed.rows[0]?.[0] === '') return;
  throw unsupported('PH033', `a statement trigger of "${firing.table.name}", no row of which the role may change,`);
}

/** Runs a statement at whose top level the shells' guards let it pass, but not what triggers do. */
export async function withFiringTriggers<T>(runner: SqlRunner, work: () => Promise<T>): Promise<T> {
  await ownerOf(runner).query(openFiringSql(randomUUID(), null));
  const result = await work();
  await runner.query("SELECT set_config('pgherd.firing', '', true), set_config('pgherd.gate', '', true)");
  return result;
}

/** $1 opens the gate. */
function firingSql({ table, event, columns }: TriggerFiring, role: string): string {
  const name = quoteQualified(table.schema, table.name);
  const gate = `(SELECT pgherd.firing_gate($1, ${quoteLiteral(role)}))`;
  switch (event) {
    case 'insert':
      return `INSERT INTO ${name} SELECT WHERE ${gate}`;
    case 'update':
      return `UPDATE ONLY ${name} SET ${columns.map((column) => `${quoteIdentifier(column)} = DEFAULT`).join(', ')} WHERE ${gate}`;
    case 'delete':
      return `DELETE FROM ONLY ${name} WHERE ${gate}`;
    default:
      throw new Error('TRUNCATE fires by itself');
  }
}
