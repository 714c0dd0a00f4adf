import type { FrameSink, ServerConnection } from '../../backend/server-connection.ts';
import type { PgError } from '../../core/errors.ts';
import { serverError } from '../../execute/exchange.ts';
import { backend as message } from '../../wire/message-types.ts';

/** Who takes what the nodes of a scattered read answer. */
export interface NodeListener {
  /** The node has its snapshot. */
  bound(): void;
  /** A DataRow, which holds for the call only. `first`: of this node. */
  row(frame: Buffer, from: NodeAnswer, first: boolean): void;
  /** NoticeResponse or ParameterStatus. */
  told(frame: Buffer): void;
  /** `executing`: it had its snapshot. */
  failed(error: PgError, executing: boolean): void;
  /** The node is ready for other work, or gone. */
  ended(from: NodeAnswer): void;
}

/** Takes one node's answer; used again and again. */
export class NodeAnswer implements FrameSink {
  readonly #listener: NodeListener;
  #connection: ServerConnection | null = null;
  #isFirst = true;
  #isBound = false;
  #isPaused = false;
  #hasEnded = true;

  constructor(listener: NodeListener) {
    this.#listener = listener;
  }

  get connection(): ServerConnection {
    return this.#connection!;
  }

  start(connection: ServerConnection): void {
    this.#connection = connection;
    this.#isFirst = true;
    this.#isBound = false;
    this.#isPaused = false;
    this.#hasEnded = false;
  }

  /** Until it is asked for, the node's answer stays where it is. */
  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.connection.pause();
  }

  resume(): void {
    if (this.#isPaused) this.connection.resume();
    this.#isPaused = false;
  }

  /** Whatever it still does is to end. */
  cancel(): void {
    if (!this.#hasEnded) void this.connection.cancel().catch(() => {});
  }

  onFrame(type: number, frame: Buffer): void {
    switch (type) {
      case message.dataRow:
        this.#listener.row(frame, this, this.#isFirst);
        this.#isFirst = false;
        return;
      case message.bindComplete:
        this.#isBound = true;
        this.#listener.bound();
        return;
      case message.errorResponse:
        this.#listener.failed(serverError(frame, this.connection), this.#isBound);
        return;
      case message.noticeResponse:
      case message.parameterStatus:
        this.#listener.told(frame);
        return;
      default:
        return;
    }
  }

  onReady(): void {
    this.#hasEnded = true;
    this.#listener.ended(this);
  }

  onLost(error: PgError): void {
    this.#hasEnded = true;
    this.#listener.failed(error, this.#isBound);
    this.#listener.ended(this);
  }
}
