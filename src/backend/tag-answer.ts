import type { PgError } from '../core/errors.ts';
import * as backend from '../wire/backend.ts';
import { encodeBind, encodeClose, encodeExecute, encodeParse, encodeQuery, syncMessage } from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import type { FrameSink, ServerConnection } from './server-connection.ts';
import { answeredError } from './server-connection.ts';

/** Hears of the tag of the last statement, or of the first error once the server is ready again; of a lost connection at once. */
export type TagHandler = (tag: string, error: PgError | null) => void;

/** Runs what gives no rows, without a promise. */
export function runForTag(connection: ServerConnection, sql: string, ended: TagHandler): void {
  connection.submit(encodeQuery(sql), new TagAnswer(connection, ended));
}

/** The same by a statement that stays prepared on the connection. Parameters are text. */
export function runPrepared(
  connection: ServerConnection,
  sql: string,
  parameters: readonly string[],
  ended: TagHandler,
): void {
  const { preparedStatements } = connection;
  const known = preparedStatements.find(sql);
  const before: Buffer[] = [];
  let name = known;
  if (name === null) {
    const added = preparedStatements.add(sql);
    name = added.name;
    before.push(...added.unused.map((old) => encodeClose('S', old)), encodeParse(name, sql, []));
  }
  const bind = encodeBind({
    ...{ portal: '', statement: name, parameterFormats: [], resultFormats: [] },
    parameters: parameters.map((value) => Buffer.from(value)),
  });
  const answer = new TagAnswer(connection, (tag, error) => {
    if (error !== null) preparedStatements.forget(sql);
    ended(tag, error);
  });
  connection.submit(Buffer.concat([...before, bind, encodeExecute('', 0), syncMessage]), answer);
}

class TagAnswer implements FrameSink {
  readonly #connection: ServerConnection;
  readonly #ended: TagHandler;
  #tag = '';
  #error: PgError | null = null;

  constructor(connection: ServerConnection, ended: TagHandler) {
    this.#connection = connection;
    this.#ended = ended;
  }

  onFrame(type: number, frame: Buffer): void {
    if (type === message.commandComplete) this.#tag = backend.decodeCommandComplete(frame);
    else if (type === message.errorResponse) this.#error ??= answeredError(frame, this.#connection);
  }

  onReady(): void {
    this.#ended(this.#tag, this.#error);
  }

  onLost(error: PgError): void {
    this.#ended('', error);
  }
}
