import { delegatePrefix, delegateSchema } from '../catalog/delegate-sql.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { type ErrorFields, PgError } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import { describeOn } from './describe.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** Leaves stand in schemas of pgherd's: the client knows the table's own. */
export function withUserSchema(fields: ErrorFields): ErrorFields {
  const schema = fields.schema === undefined ? null : /^pgherd_s\d+_(.+)$/s.exec(fields.schema);
  return schema === null ? fields : { ...fields, schema: schema[1]! };
}

const copyName = new RegExp(`(?:${delegateSchema}\\.)?${delegatePrefix}(\\d+)_[0-9a-f]+`, 'g');

/** A function's copy on nodes goes by the function's own name. One that is gone is a change that this router has yet to hear of. */
export function withFunctionNames(fields: ErrorFields, { delegations }: CatalogSnapshot): ErrorFields {
  const { message, where, code } = fields;
  if (!message.includes(delegatePrefix) && where?.includes(delegatePrefix) !== true) return fields;
  const names = new Map([...delegations.values()].flat().map(({ oid, name }) => [String(oid), name]));
  const shown = (text: string) => text.replace(copyName, (copy, oid: string) => names.get(oid) ?? copy);
  if (code === conditions.undefinedFunction) {
    const [, oid = ''] = new RegExp(copyName).exec(message) ?? [];
    const gone = `function ${names.get(oid) ?? ''}() has just been changed`;
    return {
      severity: fields.severity,
      code: conditions.serializationFailure,
      message: gone,
      hint: 'Repeat the transaction.',
    };
  }
  return { ...fields, message: shown(message), ...(where === undefined ? {} : { where: shown(where) }) };
}

export interface FailedRun {
  readonly statement: Pick<ParsedStatement, 'text'>;
  readonly parameters: readonly { readonly typeOid: number }[];
}

export function failedRunOf(
  statement: FailedRun['statement'],
  { parameterOids }: { readonly parameterOids: readonly number[] } = { parameterOids: [] },
): FailedRun {
  return { statement, parameters: parameterOids.map((typeOid) => ({ typeOid })) };
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
