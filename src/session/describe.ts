import type { ServerConnection } from '../backend/server-connection.ts';
import type { PgError } from '../core/errors.ts';
import { serverError } from '../execute/exchange.ts';
import { decodeParameterDescription, decodeRowDescription, type FieldDescription } from '../wire/backend.ts';
import { encodeDescribe, encodeParse, syncMessage } from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';

/** What preparing a statement over the shell tables tells: PostgreSQL's own types, never guessed. */
export interface StatementDescription {
  readonly parameterOids: readonly number[];
  /** Null: the statement gives no rows. */
  readonly fields: readonly FieldDescription[] | null;
}

/** Parse and Describe on the coordinator. Nothing is planned there, so the guards of shell tables stay silent. */
export function describeOn(
  connection: ServerConnection,
  sql: string,
  parameterOids: readonly number[],
): Promise<StatementDescription> {
  const bytes = Buffer.concat([encodeParse('', sql, parameterOids), encodeDescribe('S', ''), syncMessage]);
  return new Promise((resolve, reject) => {
    let oids: number[] = [];
    let fields: FieldDescription[] | null = null;
    let error: PgError | null = null;
    connection.submit(bytes, {
      onFrame(type, frame) {
        if (type === message.parameterDescription) oids = decodeParameterDescription(frame);
        else if (type === message.rowDescription) fields = decodeRowDescription(frame);
        else if (type === message.errorResponse) error ??= serverError(frame, connection);
      },
      onReady() {
        if (error) reject(error);
        else resolve({ parameterOids: oids, fields });
      },
      onLost: reject,
    });
  });
}

/** Descriptions by everything that they depend on; bounded, oldest out. Shared by the sessions of a process. */
export class DescriptionCache {
  readonly #maxEntries: number;
  #entries = new Map<string, StatementDescription>();

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get(key: string): StatementDescription | undefined {
    return this.#entries.get(key);
  }

  set(key: string, description: StatementDescription): void {
    this.#entries.set(key, description);
    if (this.#entries.size <= this.#maxEntries) return;
    const oldest = this.#entries.keys().next().value;
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}
