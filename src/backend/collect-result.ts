import type { PgError } from '../core/errors.ts';
import type { QueryResult } from '../core/runner.ts';
import * as backend from '../wire/backend.ts';
import { backend as message } from '../wire/message-types.ts';
import { answeredError, type ServerConnection } from './server-connection.ts';

/**
 * Runs one exchange and gives its last result as text, of more than `maxRows` rows the first ones. Rejects with the first error, once the
 * server is ready again.
 */
export function collectResult(
  connection: ServerConnection,
  bytes: Buffer,
  maxRows = Number.POSITIVE_INFINITY,
): Promise<QueryResult> {
  return new Promise((resolve, reject) => {
    let columns: string[] = [];
    let typeOids: number[] = [];
    let rows: (string | null)[][] = [];
    let tag = '';
    let error: PgError | null = null;
    connection.submit(bytes, {
      onFrame(type, frame) {
        if (type === message.dataRow) {
          if (rows.length >= maxRows) return;
          rows.push(backend.decodeDataRow(frame).map((value) => (value === null ? null : value.toString())));
        } else if (type === message.rowDescription) {
          const fields = backend.decodeRowDescription(frame);
          columns = fields.map((field) => field.name);
          typeOids = fields.map((field) => field.typeOid);
          rows = [];
        } else if (type === message.commandComplete) {
          tag = backend.decodeCommandComplete(frame);
        } else if (type === message.errorResponse) error ??= answeredError(frame, connection);
      },
      onReady() {
        if (error) reject(error);
        else resolve({ columns, typeOids, rows, tag });
      },
      onLost: reject,
    });
  });
}
