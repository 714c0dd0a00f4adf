import type { RelationEntry } from '../catalog/snapshot.ts';
import type { TriggerFiring } from '../catalog/statement-trigger.ts';
import { unsupported } from '../core/errors.ts';
import { type ClientOutput, PassingOutput } from '../execute/client-output.ts';
import { exchangeSource, passToClient } from '../execute/exchange.ts';
import { encodeRendered } from '../execute/statement-bytes.ts';
import type { TriggerFirings } from '../plan/plan.ts';
import { executionContext } from './run-statement.ts';
import type { SessionState } from './session-state.ts';

/**
 * Carries out a change, with the statement triggers of what it changes before and after it, on the coordinator. Those after it come when
 * foreign keys' actions are done, as in PostgreSQL. What a function's statements change comes from the coordinator, where the triggers
 * have fired already.
 */
export async function withStatementTriggers(
  session: SessionState,
  firings: TriggerFirings | undefined,
  output: ClientOutput,
  change: () => Promise<void>,
): Promise<void> {
  if (firings === undefined || session.loop !== null) return change();
  session.transaction.ensureBlock();
  await fireBefore(session, firings, output);
  await change();
  await session.keys.settle(executionContext(session, []));
  for (const firing of firings.after) await fire(session, firing, 'after', output);
}

async function fire(session: SessionState, firing: TriggerFiring, when: 'before' | 'after', output: ClientOutput) {
  const connection = await session.coordinator('data');
  session.transaction.markWritten('coordinator');
  const runner = session.services.withOwner(connection, 'coordinator');
  await session.services.schema.fireTriggers(runner, { firing, when }, async (sql, nonce) => {
    const values = [{ typeOid: textOid, format: 0 as const, bytes: Buffer.from(nonce) }];
    const source = exchangeSource(connection, encodeRendered({ sql, values }, [], false));
    await passToClient(source, new WithoutRows(output));
  });
}

const textOid = 25;

/** Notices of triggers are the client's; there are no rows. */
class WithoutRows extends PassingOutput {
  override describe(): void {}

  override row(): void {}
}

/** PostgreSQL's statement has its snapshot before the triggers fire; here it would see what they have written, so it must not look there. */
async function fireBefore(
  session: SessionState,
  { before, reads }: TriggerFirings,
  output: ClientOutput,
): Promise<void> {
  if (before.length === 0) return;
  const local = reads.filter((relation) => relation.distributed?.distribution.kind !== 'distributed');
  session.changedByFunctions.clear();
  const count = await countChanges(session, local);
  for (const firing of before) await fire(session, firing, 'before', output);
  const changed = reads.find(({ oid }) => session.changedByFunctions.has(oid));
  if (changed === undefined && (await countChanges(session, local)) === count) return;
  const where = changed === undefined ? 'a table' : `"${changed.name}"`;
  throw unsupported('PH033', `a BEFORE statement trigger that changes ${where}, which the statement itself reads,`);
}

/** Rows of tables on the coordinator that this transaction has changed so far. */
async function countChanges(session: SessionState, tables: readonly RelationEntry[]): Promise<string | null> {
  if (tables.length === 0) return null;
  const { rows } = await (await session.coordinator('data')).query(
    `SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_catalog.pg_stat_xact_all_tables WHERE relid = ANY ($1)`,
    [`{${tables.map(({ oid }) => oid).join(',')}}`],
  );
  return rows[0]?.[0] ?? null;
}
