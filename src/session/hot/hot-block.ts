import type { TransactionStmt } from '@pgsql/types';
import type { ServerConnection } from '../../backend/server-connection.ts';
import type { Site } from '../../catalog/site.ts';
import { PgError, pgError } from '../../core/errors.ts';
import type { BlockEnd, PlainEnd, TwoPhaseEnd } from '../../transaction/distributed-transaction.ts';
import { decodeCommandComplete, encodeCommandComplete } from '../../wire/backend.ts';
import { encodeQuery } from '../../wire/frontend.ts';
import type { SessionState } from '../session-state.ts';
import type { ParsedStatement } from '../statement-cache.ts';
import { CommitAnswer, LeavingAnswer } from './hot-answer.ts';

/** BEGIN, which no server hears of before the first statement, and COMMIT: of one server, or in two phases. */
export class HotBlock {
  readonly #session: SessionState;
  readonly #answer: CommitAnswer;
  readonly #ended: (tag: Buffer | null, error: PgError | null) => void;
  #decider: PlainEnd['decider'] = null;

  /** `ended` hears of COMMIT's tag, or of what went wrong, when the block is over. */
  constructor(session: SessionState, ended: (tag: Buffer | null, error: PgError | null) => void) {
    this.#session = session;
    this.#ended = ended;
    this.#answer = new CommitAnswer(session.client, () => this.#committed());
  }

  /** The tag of BEGIN; the block is open then. Null: there is more to this statement. */
  begin(statement: ParsedStatement): Buffer | null {
    const { kind } = commandOf(statement);
    if ((kind !== 'TRANS_STMT_BEGIN' && kind !== 'TRANS_STMT_START') || this.#session.transaction.inBlock) return null;
    this.#session.transaction.beginExplicit(statement.text);
    return kind === 'TRANS_STMT_START' ? startTag : beginTag;
  }

  /** How the block can end here; null: this statement is no COMMIT, or there is more to it. */
  blockEnd(statement: ParsedStatement): BlockEnd | null {
    const { transaction } = this.#session;
    const { kind, chain } = commandOf(statement);
    if (kind !== 'TRANS_STMT_COMMIT' || chain === true || !transaction.explicit) return null;
    return this.implicitEnd();
  }

  /** The same of whatever block is open. */
  implicitEnd(): BlockEnd | null {
    const { transaction, keys, services, sequences } = this.#session;
    const end = keys.isIdle ? transaction.blockEnd() : null;
    // What the coordinator's sequences gave is asked of that very connection before the next statement may ask for it.
    if (end === null || (sequences.touched && mayForget(end))) return null;
    return end.kind === 'plain' && end.decider?.written === true && services.fence.opening ? null : end;
  }

  /** Sends what ends the block; `ended` is called when the servers have answered, at once when there are none. */
  commit(end: BlockEnd): void {
    if (end.kind === 'plain') this.#commitPlainly(end);
    else this.#commitInTwoPhases(end);
  }

  #commitInTwoPhases(end: TwoPhaseEnd): void {
    this.#session.transaction.commitNow(end, (error) => {
      this.#session.keys.endTransaction();
      if (error === null) this.#ended(commitTag, null);
      else this.#ended(null, error instanceof PgError ? error : pgError('internalError', String(error)));
    });
  }

  #commitPlainly(end: PlainEnd): void {
    const { transaction } = this.#session;
    this.#decider = end.decider;
    transaction.startEnding(end);
    for (const { site, connection } of end.readers) this.#letGo(site, connection);
    if (end.decider === null) {
      this.#over();
      this.#ended(commitTag, null);
      return;
    }
    this.#answer.start(end.decider.connection);
    end.decider.connection.submit(commitQuery, this.#answer);
  }

  /** Its transaction has changed nothing, so nobody waits for its end. */
  #letGo(site: Site, connection: ServerConnection): void {
    const { transaction } = this.#session;
    connection.submit(commitQuery, new LeavingAnswer(() => transaction.left(site, connection)));
  }

  #committed(): void {
    const { tag, error, isLost } = this.#answer;
    const { connection, written } = this.#decider!;
    const { label } = connection.target;
    const isCommit = tag !== null && decodeCommandComplete(tag) === 'COMMIT';
    if (error === null && isCommit) {
      this.#over();
      this.#ended(tag, null);
      return;
    }
    this.#session.transaction.endedByError();
    this.#session.keys.endTransaction();
    this.#ended(null, isLost && written ? outcomeUnknown(label) : (error ?? hadFailed(label)));
  }

  #over(): void {
    this.#session.transaction.endedPlainly();
    this.#session.keys.endTransaction();
  }
}

/** The coordinator's connection leaves the session with the block. */
function mayForget(end: BlockEnd): boolean {
  const leaving = end.kind === 'plain' ? end.readers : end.participants;
  return leaving.some(({ site }) => site === 'coordinator');
}

const beginTag = encodeCommandComplete('BEGIN');
const startTag = encodeCommandComplete('START TRANSACTION');
const commitTag = encodeCommandComplete('COMMIT');
const commitQuery = encodeQuery('COMMIT');

function commandOf({ node }: ParsedStatement): TransactionStmt {
  return (node as { TransactionStmt: TransactionStmt }).TransactionStmt;
}

function hadFailed(label: string): PgError {
  return pgError('inFailedSqlTransaction', `the transaction on ${label} had failed and was rolled back`);
}

function outcomeUnknown(label: string): PgError {
  return pgError(
    'transactionResolutionUnknown',
    `connection to ${label} was lost during COMMIT: the outcome is unknown`,
  );
}
