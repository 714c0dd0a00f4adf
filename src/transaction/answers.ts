import { PgError, pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { conditions } from '../core/sqlstate.ts';
import type { Answer, Verb } from './protocol.ts';

/** What a server's answer to a statement means to the protocol. */
export async function answerTo(work: Promise<unknown>): Promise<Answer> {
  try {
    await work;
    return { kind: 'done' };
  } catch (error) {
    return failure(error);
  }
}

/** An error of the server's own says that nothing happened; a connection lost (08…), or ended by the server (FATAL), says nothing. */
export function failure(cause: unknown): Extract<Answer, { kind: 'refused' | 'lost' }> {
  const error = cause instanceof PgError ? cause : pgError('internalError', String(cause));
  const refused = cause instanceof PgError && error.fields.severity === 'ERROR' && !error.code.startsWith('08');
  return { kind: refused ? 'refused' : 'lost', error };
}

/**
 * COMMIT PREPARED or ROLLBACK PREPARED, by one connection. A gid that is not there any more was finished by somebody else, and
 * there is one decision only. Its owner may be another role: of SET LOCAL ROLE, or a client's when the router is no superuser.
 */
export async function finishPrepared(connection: SqlRunner, gid: string, verb: Verb): Promise<Answer> {
  const finish = `${verb} PREPARED ${quoteText(gid)}`;
  const answer = await answerTo(connection.query(finish));
  if (answer.kind !== 'refused') return answer;
  if (answer.error.code === conditions.undefinedObject) return { kind: 'done' };
  if (answer.error.code !== conditions.insufficientPrivilege) return answer;
  try {
    const { rows } = await connection.query(
      `SELECT quote_ident(owner) FROM pg_catalog.pg_prepared_xacts WHERE gid = ${quoteText(gid)}`,
    );
    const owner = rows[0]?.[0];
    if (owner == null) return { kind: 'done' };
    await connection.query(`SET ROLE ${owner}`);
    const asOwner = await answerTo(connection.query(finish));
    await connection.query('RESET ROLE');
    return asOwner;
  } catch (error) {
    return failure(error);
  }
}

export function quoteText(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
