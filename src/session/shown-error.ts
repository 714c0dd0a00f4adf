import { type ErrorFields, PgError } from '../core/errors.ts';
import { describeOn } from './describe.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** Leaves stand in schemas of pgherd's: the client knows the table's own. */
export function withUserSchema(fields: ErrorFields): ErrorFields {
  const schema = fields.schema === undefined ? null : /^pgherd_s\d+_(.+)$/s.exec(fields.schema);
  return schema === null ? fields : { ...fields, schema: schema[1]! };
}

export interface FailedRun {
  readonly statement: Pick<ParsedStatement, 'text'>;
  readonly parameters: readonly { readonly typeOid: number }[];
}

/**
 * An error's position counts in the text that a server was given, which for a planned statement isn't the client's. What is wrong
 * with a statement as such the coordinator finds in the client's own text; of all else PostgreSQL gives no position.
 */
export async function withUserPosition(session: SessionState, run: FailedRun, error: unknown): Promise<unknown> {
  if (!(error instanceof PgError) || error.fields.position === undefined) return error;
  const { position: _, ...fields } = error.fields;
  const oids = run.parameters.map(({ typeOid }) => typeOid);
  const found = await session
    .beside((connection) => describeOn(connection, run.statement.text, oids))
    .then(
      () => null,
      (reason: unknown) => reason,
    );
  return found instanceof PgError && found.code === error.code ? found : new PgError(fields);
}
