import { readTemporaryNames } from './local-effects.ts';
import type { SessionState } from './session-state.ts';

/**
 * Ends the open transaction, explicit or implicit, on all its servers. After a commit that changed the schema every router knows
 * the new catalog before the client hears of it.
 */
export async function endTransaction(session: SessionState, verb: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  const { transaction } = session;
  const { schemaChanged } = session;
  const settingsBefore = transaction.settings.key;
  const hadLocalSettings = transaction.hasLocalSettings;
  try {
    if (verb === 'COMMIT') await transaction.commit();
    else await transaction.rollback();
  } finally {
    session.transactionCatalog = null;
    session.localTimeouts.clear();
    session.cursorFields.clear();
    session.schemaChanged = false;
    if (hadLocalSettings || transaction.settings.key !== settingsBefore) await reportRevertedSettings(session);
  }
  // ON COMMIT DROP, or a rollback: temporary tables may have gone, or come back.
  if (session.hasTemporary) await readTemporaryNames(session);
  if (schemaChanged && verb === 'COMMIT') await session.services.refreshCatalog();
  transaction.releaseIdle();
}

/** The end undid a SET LOCAL, or a rollback a SET, of a reported parameter: the client has to hear of the value that holds now. */
async function reportRevertedSettings(session: SessionState): Promise<void> {
  const connection = await session.coordinator();
  session.reportParameters(connection);
  session.transaction.releaseIdle();
}
