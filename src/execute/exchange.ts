import { joinWhere, type ServerConnection } from '../backend/server-connection.ts';
import { PgError } from '../core/errors.ts';
import { decodeCommandComplete, decodeErrorFields } from '../wire/backend.ts';
import { backend as message } from '../wire/message-types.ts';
import type { ClientOutput } from './client-output.ts';

export interface ExchangeResult {
  /** Tag of the last command; empty after an empty query. */
  readonly tag: string;
}

/**
 * Runs one exchange and passes its answer to the client as bytes, rows undecoded. The tag is kept back: whoever asked says
 * `complete` (counts of several servers add up). Rejects with the server's error once it is ready again.
 */
export function passToClient(
  connection: ServerConnection,
  bytes: Buffer,
  output: ClientOutput,
): Promise<ExchangeResult> {
  return new Promise((resolve, reject) => {
    let tag = '';
    let error: PgError | null = null;
    output.attach(connection);
    connection.submit(bytes, {
      onFrame(type, frame) {
        switch (type) {
          case message.dataRow:
            output.row(frame);
            return;
          case message.rowDescription:
            if (output.wantsDescription) output.describe(frame);
            return;
          case message.commandComplete:
            tag = decodeCommandComplete(frame);
            return;
          case message.errorResponse:
            error ??= serverError(frame, connection);
            return;
          case message.noticeResponse:
          case message.parameterStatus:
          case message.copyOutResponse:
          case message.copyData:
          case message.copyDone:
            output.pass(frame);
            return;
          case message.copyInResponse:
            output.copyIn(frame, connection);
            return;
          default:
            return;
        }
      },
      onReady() {
        output.detach(connection);
        if (error) reject(error);
        else resolve({ tag });
      },
      onLost(lost) {
        output.detach(connection);
        reject(lost);
      },
    });
  });
}

/** A server's ErrorResponse as an error of ours; an error of a node says which one. */
export function serverError(frame: Buffer, connection: ServerConnection): PgError {
  const fields = decodeErrorFields(frame);
  if (connection.target.label === 'coordinator') return new PgError(fields);
  return new PgError({ ...fields, where: joinWhere(fields.where, connection.target.label) });
}
