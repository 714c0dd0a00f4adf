import type { ServerConnection } from '../backend/server-connection.ts';
import { type PgError, pgError } from '../core/errors.ts';
import type { Verb } from './protocol.ts';

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly string[];
}

/** PostgreSQL answers COMMIT of a failed transaction with the tag ROLLBACK. */
export async function commitOn(connection: ServerConnection, first: readonly Statement[] = []): Promise<void> {
  const { tag } = await connection.pipeline([...first, { sql: 'COMMIT', parameters: [] }]);
  if (tag === 'ROLLBACK') throw hadFailed(connection);
}

export function hadFailed({ target }: ServerConnection): PgError {
  return pgError('inFailedSqlTransaction', `the transaction on ${target.label} had failed and was rolled back`);
}

/** Ends transactions that changed nothing that matters any more; a server that can't be told has ended them itself. */
export async function endAll(
  participants: readonly { readonly connection: ServerConnection }[],
  verb: Verb,
): Promise<void> {
  await Promise.all(participants.map(({ connection }) => connection.query(verb).catch(() => connection.close())));
}
