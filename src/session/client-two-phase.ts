import type { TransactionStmt } from '@pgsql/types';
import type { Site } from '../catalog/site.ts';
import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import { finishPrepared } from '../transaction/answers.ts';
import { type ClientPrepared, clientKey, commitForClient } from '../transaction/client-prepare.ts';
import { endTransaction, settleDeferred, transactionEnded } from './end-transaction.ts';
import type { SessionState } from './session-state.ts';

/** PREPARE TRANSACTION, COMMIT PREPARED and ROLLBACK PREPARED by a client, over all servers that the transaction wrote on. */
export async function runClientTwoPhase(
  session: SessionState,
  { kind, gid = '' }: TransactionStmt,
  output: ClientOutput,
): Promise<void> {
  // Recovery settles such names by itself.
  if (gid.startsWith('pgherd:')) {
    throw pgError('invalidParameterValue', 'transaction identifiers that begin with "pgherd:" are reserved');
  }
  switch (kind) {
    case 'TRANS_STMT_PREPARE':
      return prepare(session, gid, output);
    case 'TRANS_STMT_COMMIT_PREPARED':
      await commitPrepared(session, gid);
      // It may have changed the schema, in a session that is gone.
      await session.services.refreshCatalog();
      return output.complete('COMMIT PREPARED');
    default:
      await rollbackPrepared(session, gid);
      return output.complete('ROLLBACK PREPARED');
  }
}

async function prepare(session: SessionState, gid: string, output: ClientOutput): Promise<void> {
  const { transaction } = session;
  if (!transaction.explicit) {
    session.notice({ severity: 'WARNING', code: '25P01', message: 'there is no transaction in progress' });
    return output.complete('ROLLBACK');
  }
  if (transaction.failed) {
    await endTransaction(session, 'ROLLBACK');
    return output.complete('ROLLBACK');
  }
  await transactionEnded(session, async () => {
    await settleDeferred(session);
    await transaction.prepare(gid, session.signal);
  });
  output.complete('PREPARE TRANSACTION');
}

async function commitPrepared(session: SessionState, gid: string): Promise<void> {
  refuseInBlock(session, 'COMMIT PREPARED');
  const found = await find(session, gid);
  // Without the coordinator's part it was never prepared as a whole.
  if (!found.onCoordinator) throw unknownGid(gid);
  try {
    await commitForClient(found, session.services, (site) => connectionTo(session, site));
  } catch (error) {
    throw pgError('connectionFailure', `not all servers could be told to commit "${gid}"`, {
      detail: error instanceof Error ? error.message : String(error),
      hint: 'It is decided. Repeat COMMIT PREPARED when they are back.',
    });
  }
}

async function rollbackPrepared(session: SessionState, gid: string): Promise<void> {
  refuseInBlock(session, 'ROLLBACK PREPARED');
  const found = await find(session, gid);
  if (!found.onCoordinator && found.nodes.length === 0) throw unknownGid(gid);
  if (found.decided) {
    throw pgError('objectNotInPrerequisiteState', `prepared transaction "${gid}" is being committed`, {
      hint: 'Repeat COMMIT PREPARED.',
    });
  }
  const sites: Site[] = [...found.nodes, ...(found.onCoordinator ? (['coordinator'] as const) : [])];
  for (const site of sites) {
    const answer = await finishPrepared(await connectionTo(session, site), gid, 'ROLLBACK');
    if (answer.kind === 'refused' || answer.kind === 'lost') throw answer.error;
  }
}

/** Asks all servers: one that can't be asked may hold a part. */
async function find(session: SessionState, gid: string): Promise<ClientPrepared> {
  const sql = `SELECT owner = current_user OR current_setting('is_superuser') = 'on'
    FROM pg_catalog.pg_prepared_xacts WHERE gid = $1 AND database = current_database()`;
  const sites: Site[] = ['coordinator', ...session.catalog.nodes.map(({ id }) => id)];
  const held = await Promise.all(
    sites.map(async (site) => {
      const { rows } = await (await connectionTo(session, site)).query(sql, [gid]);
      if (rows[0]?.[0] === 'f') {
        throw pgError('insufficientPrivilege', 'permission denied to finish prepared transaction', {
          hint: 'Must be superuser or the user that prepared the transaction.',
        });
      }
      return rows.length > 0;
    }),
  );
  const { rows } = await session.services
    .control()
    .query('SELECT FROM pgherd.transaction_decision WHERE gid = $1', [clientKey(gid)]);
  return {
    gid,
    onCoordinator: held[0]!,
    nodes: sites.flatMap((site, index) => (site !== 'coordinator' && held[index] ? [site] : [])),
    decided: rows.length > 0,
  };
}

function connectionTo(session: SessionState, site: Site): Promise<SqlRunner> {
  return session.transaction.join(site, session.signal, 'catalog');
}

function refuseInBlock(session: SessionState, command: string): void {
  if (session.transaction.inBlock) {
    throw pgError('activeSqlTransaction', `${command} cannot run inside a transaction block`);
  }
}

function unknownGid(gid: string): Error {
  return pgError('undefinedObject', `prepared transaction with identifier "${gid}" does not exist`);
}
