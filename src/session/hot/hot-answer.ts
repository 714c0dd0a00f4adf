import { answeredError, type FrameSink, type ServerConnection } from '../../backend/server-connection.ts';
import type { Rider } from '../../backend/shared-connection.ts';
import { type PgError, pgError } from '../../core/errors.ts';
import { serverError } from '../../execute/exchange.ts';
import { decodeDataRow, fieldCountOf, parseComplete } from '../../wire/backend.ts';
import { backend as message } from '../../wire/message-types.ts';
import type { ClientConnection } from '../client-connection.ts';
import { resultTypeChanged } from '../outputs.ts';

/**
 * Takes one server's answer for a client: rows go on as bytes, what comes before them is said with the first, and the tag is kept until the
 * statement's effects stand. One for each session, used again and again.
 */
export class HotAnswer implements Rider {
  readonly #client: ClientConnection;
  readonly #ended: () => void;
  readonly #moved: () => void;
  #connection: ServerConnection | null = null;
  /** CommandCompletes to come that answer the router's own BEGIN. */
  #ownCommands = 0;
  /** Messages for the client that go before any row. */
  #before: Buffer[] = [];
  /** Of the rows as they are described to the client; null: not known. Until the first row is here. */
  #fieldCount: number | null = null;
  /** CommandComplete. */
  tag: Buffer | null = null;
  error: PgError | null = null;
  isLost = false;
  /** Of the answer so far. */
  bytes = 0;
  /** Others could not wait behind it. */
  isHeavy = false;

  /** `ended` is called when the server is ready again, or gone; `moved` when the statement is to be sent again. */
  constructor(client: ClientConnection, ended: () => void, moved: () => void) {
    this.#client = client;
    this.#ended = ended;
    this.#moved = moved;
  }

  start(connection: ServerConnection, before: Buffer[], { ownCommands, fieldCount, isShared }: AnswerShape): void {
    this.#connection = connection;
    this.#before = before;
    this.#fieldCount = fieldCount;
    this.#ownCommands = ownCommands;
    this.tag = null;
    this.error = null;
    this.isLost = false;
    this.bytes = 0;
    this.isHeavy = false;
    // A client that reads slowly pauses its own connection alone.
    if (!isShared) this.#client.attach(connection);
  }

  onFrame(type: number, frame: Buffer): void {
    this.bytes += frame.length;
    switch (type) {
      case message.dataRow:
        if (this.#fieldCount !== null) this.#checkFields(frame, this.#fieldCount);
        if (this.error !== null) return;
        this.sayBefore();
        this.#client.write(frame);
        return;
      case message.noticeResponse:
      case message.parameterStatus:
        this.sayBefore();
        this.#client.write(frame);
        return;
      case message.rowDescription:
        this.#describe(frame);
        return;
      case message.bindComplete:
        if (this.#ownCommands === 0) this.sayBefore();
        return;
      case message.commandComplete:
        if (this.#ownCommands > 0) this.#ownCommands -= 1;
        else this.tag = frame;
        return;
      case message.errorResponse:
        this.error ??= serverError(frame, this.#connection!);
        this.#sayParsed();
        return;
      default:
        return;
    }
  }

  onReady(): void {
    this.#client.detach(this.#connection!);
    this.#ended();
  }

  onLost(error: PgError): void {
    this.error = error;
    this.isLost = true;
    this.#sayParsed();
    this.#client.detach(this.#connection!);
    this.#ended();
  }

  onMoved(): void {
    this.#moved();
  }

  onAlone(isHeavy: boolean): void {
    this.isHeavy ||= isHeavy;
    this.#client.attach(this.#connection!);
  }

  /** Nothing has come, and nothing will. */
  cancelled(): void {
    this.error = pgError('queryCanceled', 'canceling statement due to user request');
    this.#sayParsed();
    this.#ended();
  }

  /** The table may have changed while the statement waited for a lock of it: then the server knows better what its rows are. */
  #describe(frame: Buffer): void {
    if (this.#fieldCount !== null && fieldCountOf(frame) !== this.#fieldCount) {
      this.#before = [frame];
      this.#fieldCount = null;
    }
    this.sayBefore();
  }

  /** The client has been told already of rows. */
  #checkFields(row: Buffer, fieldCount: number): void {
    this.#fieldCount = null;
    if (fieldCountOf(row) !== fieldCount) this.error = resultTypeChanged();
  }

  /** The server has not come to its BindComplete, so neither does the client hear of one. */
  #sayParsed(): void {
    if (this.#before[0] === parseComplete) this.#client.write(parseComplete);
    this.#before = nothing;
  }

  sayBefore(): void {
    if (this.#before.length === 0) return;
    for (const bytes of this.#before) this.#client.write(bytes);
    this.#before = nothing;
  }
}

const nothing: Buffer[] = [];

export interface AnswerShape {
  readonly ownCommands: number;
  readonly fieldCount: number | null;
  /** The connection answers others before and behind. */
  readonly isShared: boolean;
}

/** Takes the answer to COMMIT. */
export class CommitAnswer implements FrameSink {
  readonly #client: ClientConnection;
  readonly #ended: () => void;
  #connection: ServerConnection | null = null;
  tag: Buffer | null = null;
  error: PgError | null = null;
  isLost = false;

  constructor(client: ClientConnection, ended: () => void) {
    this.#client = client;
    this.#ended = ended;
  }

  start(connection: ServerConnection): void {
    this.#connection = connection;
    this.tag = null;
    this.error = null;
    this.isLost = false;
  }

  onFrame(type: number, frame: Buffer): void {
    if (type === message.commandComplete) this.tag = frame;
    else if (type === message.noticeResponse || type === message.parameterStatus) this.#client.write(frame);
    else if (type === message.errorResponse) this.error ??= answeredError(frame, this.#connection!);
  }

  onReady(): void {
    this.#ended();
  }

  onLost(error: PgError): void {
    this.error = error;
    this.isLost = true;
    this.#ended();
  }
}

/** Takes the answer to an end that nobody waits for. */
export class LeavingAnswer implements FrameSink {
  readonly onReady: () => void;
  readonly onLost: () => void;

  constructor(ended: () => void) {
    this.onReady = ended;
    this.onLost = ended;
  }

  onFrame(): void {}
}

/** Takes one row, as text: what the clock says. */
export class ClockAnswer implements FrameSink {
  readonly #ended: (values: readonly (string | null)[], error: PgError | null) => void;
  readonly #connection: ServerConnection;
  #values: readonly (string | null)[] = [];
  #error: PgError | null = null;

  constructor(
    connection: ServerConnection,
    ended: (values: readonly (string | null)[], error: PgError | null) => void,
  ) {
    this.#connection = connection;
    this.#ended = ended;
  }

  onFrame(type: number, frame: Buffer): void {
    if (type === message.dataRow) this.#values = decodeDataRow(frame).map((value) => value?.toString() ?? null);
    else if (type === message.errorResponse) this.#error ??= serverError(frame, this.#connection);
  }

  onReady(): void {
    this.#ended(this.#values, this.#error);
  }

  onLost(error: PgError): void {
    this.#ended([], error);
  }
}
