import { joinWhere, type ServerConnection } from '../backend/server-connection.ts';
import { PgError } from '../core/errors.ts';
import { decodeCommandComplete, decodeErrorFields } from '../wire/backend.ts';
import { backend as message } from '../wire/message-types.ts';
import type { ClientOutput } from './client-output.ts';

/** Takes the frames of an answer, errors and ReadyForQuery left out. Called synchronously from the socket. */
export interface FrameHandler {
  (type: number, frame: Buffer): void;
  /** Takes DataRows where they stand, `chunk[start, end)`, without an object for each; those that can't be had so come as frames. */
  readonly row?: (chunk: Buffer, start: number, end: number) => void;
}

/** An answer that can be had from one server: asked for when it is run, once. */
export interface AnswerSource {
  readonly connection: ServerConnection;
  /** Rejects with the server's error, once the server is ready for other work. */
  run(handler: FrameHandler): Promise<void>;
}

/** The answer to one exchange: bytes that end in a Sync, or a simple Query. */
export function exchangeSource(connection: ServerConnection, bytes: Buffer): AnswerSource {
  return {
    connection,
    run: (handler) =>
      new Promise((resolve, reject) => {
        let error: PgError | null = null;
        connection.submit(bytes, {
          onFrame(type, frame) {
            if (type === message.errorResponse) error ??= serverError(frame, connection);
            else handler(type, frame);
          },
          onRow(chunk, start, end) {
            handler.row?.(chunk, start, end);
            return handler.row !== undefined;
          },
          onReady() {
            if (error) reject(error);
            else resolve();
          },
          onLost: reject,
        });
      }),
  };
}

/**
 * Passes an answer to the client as bytes, rows undecoded. Gives the command tag (empty after an empty query): whoever asked says
 * `complete`, since counts of several servers add up.
 */
export async function passToClient(source: AnswerSource, output: ClientOutput): Promise<string> {
  const { connection } = source;
  let tag = '';
  output.attach(connection);
  try {
    await source.run((type, frame) => {
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
    });
    return tag;
  } finally {
    output.detach(connection);
  }
}

/** A server's ErrorResponse as an error of ours; an error of a node says which one. */
export function serverError(frame: Buffer, connection: ServerConnection): PgError {
  const fields = decodeErrorFields(frame);
  if (connection.target.label === 'coordinator') return new PgError(fields);
  return new PgError({ ...fields, where: joinWhere(fields.where, connection.target.label) });
}
