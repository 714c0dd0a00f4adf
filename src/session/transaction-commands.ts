import type { TransactionStmt } from '@pgsql/types';
import { pgError } from '../core/errors.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import { runClientTwoPhase } from './client-two-phase.ts';
import { endTransaction } from './end-transaction.ts';
import { readTemporaryNames } from './local-effects.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** BEGIN, COMMIT, ROLLBACK, savepoints, PREPARE TRANSACTION: what PostgreSQL answers, over all servers of the transaction. */
export async function runTransactionCommand(
  session: SessionState,
  statement: ParsedStatement,
  output: ClientOutput,
): Promise<void> {
  const { transaction } = session;
  const command = (statement.node as { TransactionStmt: TransactionStmt }).TransactionStmt;
  switch (command.kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      return begin(session, statement, command, output);
    case 'TRANS_STMT_COMMIT':
      return end(session, 'COMMIT', command, output);
    case 'TRANS_STMT_ROLLBACK':
      return end(session, 'ROLLBACK', command, output);
    case 'TRANS_STMT_SAVEPOINT':
      if (transaction.failed) refuseFailed();
      await transaction.savepoint(command.savepoint_name ?? '');
      session.localTimeouts.savepoint(command.savepoint_name ?? '');
      return output.complete('SAVEPOINT');
    case 'TRANS_STMT_RELEASE':
      if (transaction.failed) refuseFailed();
      await transaction.releaseSavepoint(command.savepoint_name ?? '');
      session.localTimeouts.release(command.savepoint_name ?? '');
      return output.complete('RELEASE');
    case 'TRANS_STMT_ROLLBACK_TO':
      await transaction.rollbackTo(command.savepoint_name ?? '');
      session.localTimeouts.rollbackTo(command.savepoint_name ?? '');
      if (session.transactionCatalog !== null) await session.reloadTransactionCatalog();
      if (session.hasTemporary) await readTemporaryNames(session);
      return output.complete('ROLLBACK');
    case 'TRANS_STMT_PREPARE':
    case 'TRANS_STMT_COMMIT_PREPARED':
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      return runClientTwoPhase(session, command, output);
    default:
      throw pgError('featureNotSupported', `transaction command ${command.kind} is not supported`);
  }
}

function refuseFailed(): never {
  throw pgError(
    'inFailedSqlTransaction',
    'current transaction is aborted, commands ignored until end of transaction block',
  );
}

async function begin(
  session: SessionState,
  statement: ParsedStatement,
  command: TransactionStmt,
  output: ClientOutput,
): Promise<void> {
  const { transaction } = session;
  const tag = command.kind === 'TRANS_STMT_START' ? 'START TRANSACTION' : 'BEGIN';
  if (transaction.explicit) {
    if (transaction.failed) refuseFailed();
    session.notice({ severity: 'WARNING', code: '25001', message: 'there is already a transaction in progress' });
    return output.complete(tag);
  }
  transaction.beginExplicit(statement.text);
  output.complete(tag);
}

async function end(
  session: SessionState,
  verb: 'COMMIT' | 'ROLLBACK',
  command: TransactionStmt,
  output: ClientOutput,
): Promise<void> {
  const { transaction } = session;
  if (!transaction.explicit) {
    if (command.chain)
      throw pgError('noActiveSqlTransaction', `${verb} AND CHAIN can only be used in transaction blocks`);
    session.notice({ severity: 'WARNING', code: '25P01', message: 'there is no transaction in progress' });
    await endTransaction(session, verb);
    return output.complete(verb);
  }
  const options = transaction.beginText;
  const failed = transaction.failed;
  const outcome = verb === 'COMMIT' && !failed ? 'COMMIT' : 'ROLLBACK';
  await endTransaction(session, outcome);
  if (command.chain) transaction.beginExplicit(options);
  output.complete(outcome);
}
