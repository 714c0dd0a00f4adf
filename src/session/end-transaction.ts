import { readTemporaryNames } from './local-effects.ts';
import { executionContext } from './run-statement.ts';
import type { SessionState } from './session-state.ts';

/**
 * Ends the open transaction, explicit or implicit, on all its servers. After a commit that changed the schema every router knows
 * the new catalog before the client hears of it.
 */
export async function endTransaction(session: SessionState, verb: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  const { transaction, schemaChanged } = session;
  await transactionEnded(session, () => (verb === 'COMMIT' ? commit(session) : transaction.rollback()));
  if (schemaChanged && verb === 'COMMIT') await session.services.refreshCatalog();
  transaction.releaseIdle();
}

/** Carries out an end of the transaction, and brings what the session remembers of it in order. */
export async function transactionEnded(session: SessionState, end: () => Promise<void>): Promise<void> {
  const { transaction } = session;
  const settingsBefore = transaction.settings.key;
  const hadLocalSettings = transaction.hasLocalSettings;
  try {
    await end();
  } finally {
    if (session.loop === null) session.keys.endTransaction();
    session.transactionCatalog = null;
    session.localTimeouts.clear();
    session.cursorFields.clear();
    session.schemaChanged = false;
    if (hadLocalSettings || transaction.settings.key !== settingsBefore) await reportRevertedSettings(session);
  }
  // ON COMMIT DROP, or a rollback: temporary tables may have gone, or come back.
  if (session.hasTemporary) await readTemporaryNames(session);
}

async function commit(session: SessionState): Promise<void> {
  await settleDeferred(session);
  const startMs = performance.now();
  await session.transaction.commit();
  session.services.meters.stages.commit.observe(performance.now() - startMs);
}

/** What is deferred to the end is checked before it; if that fails, everything is rolled back. */
export async function settleDeferred(session: SessionState): Promise<void> {
  // The end of a function's way back is not its caller's.
  if (session.loop !== null) return;
  try {
    await session.keys.settleDeferred(executionContext(session, []));
  } catch (error) {
    await session.transaction.rollback();
    throw error;
  }
}

/** The end undid a SET LOCAL, or a rollback a SET, of a reported parameter: the client has to hear of the value that holds now. */
async function reportRevertedSettings(session: SessionState): Promise<void> {
  const connection = await session.coordinator();
  session.reportParameters(connection);
  session.transaction.releaseIdle();
}
