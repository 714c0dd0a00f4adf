import type { FrameSink, ServerConnection } from '../../backend/server-connection.ts';
import type { PgError } from '../../core/errors.ts';
import { serverError } from '../../execute/exchange.ts';
import { addTags } from '../../execute/scatter.ts';
import { decodeCommandComplete } from '../../wire/backend.ts';
import { backend as message } from '../../wire/message-types.ts';
import type { ClientConnection } from '../client-connection.ts';

/** Takes the answers of several servers to one change that gives no rows. */
export class SpreadAnswer {
  readonly #client: ClientConnection;
  readonly #ended: () => void;
  readonly #tags: string[] = [];
  #missing: number;
  error: PgError | null = null;
  /** The error came after the server had taken the change's parameters. */
  failedLate = false;

  /** `ended` is called when all of `count` servers are ready again, or gone. */
  constructor(client: ClientConnection, count: number, ended: () => void) {
    this.#client = client;
    this.#missing = count;
    this.#ended = ended;
  }

  /** How many rows all of them have changed. */
  get tag(): string {
    return addTags(this.#tags);
  }

  /** For one of the servers: `own` commands of the router's go before the change. */
  sink(connection: ServerConnection, own: number): FrameSink {
    let tag: Buffer | null = null;
    let bound = 0;
    return {
      onFrame: (type, frame) => {
        if (type === message.commandComplete) tag = frame;
        else if (type === message.bindComplete) bound += 1;
        else if (type === message.errorResponse && this.error === null) {
          this.error = serverError(frame, connection);
          this.failedLate = bound > own;
        } else if (type === message.noticeResponse || type === message.parameterStatus) this.#client.write(frame);
      },
      onReady: () => {
        if (tag !== null) this.#tags.push(decodeCommandComplete(tag));
        this.#answered();
      },
      onLost: (error) => {
        this.error ??= error;
        this.#answered();
      },
    };
  }

  #answered(): void {
    this.#missing -= 1;
    if (this.#missing === 0) this.#ended();
  }
}
