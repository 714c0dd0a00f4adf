import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { type PgError, pgError } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import { decodeCommandComplete } from '../wire/backend.ts';
import { copyDoneMessage, encodeCopyFail, encodeQuery } from '../wire/frontend.ts';
import { backend } from '../wire/message-types.ts';
import { CopyFrames, type Frame, type FramePool } from './copy-frames.ts';
import { serverError } from './exchange.ts';

export interface CopyStreamOptions {
  readonly site: Site;
  /** `COPY … FROM STDIN …` */
  readonly sql: string;
  /** Bytes that may wait here before `full` asks the writer to stop. It goes on when half of them are left, lest the server run out of work. */
  readonly highWaterBytes: number;
  readonly pool: FramePool;
  /** Begins and ends the data: header and trailer of the binary format. */
  readonly prologue: Buffer;
  readonly epilogue: Buffer;
  join(): Promise<ServerConnection>;
  onError(error: PgError): void;
  onNotice(frame: Buffer): void;
}

/** `ended`: the server has said its last word, by itself or because of an error; what is still written is dropped. */
type State = 'joining' | 'streaming' | 'ended';

/**
 * One COPY … FROM STDIN on one server. Data flow from the start, before the connection is there and before the server has
 * agreed; memory is bounded by a writer that waits while it is `full`.
 */
export class CopyStream {
  /** The server has taken the statement: its CopyInResponse came. Rejects with why not. */
  readonly opened: Promise<void>;
  readonly site: Site;
  error: PgError | null = null;
  readonly #options: CopyStreamOptions;
  readonly #ended: Promise<void>;
  #state: State = 'joining';
  #connection: ServerConnection | null = null;
  #queue: { readonly message: Buffer; readonly frame: Frame | null }[] = [];
  readonly #frames: CopyFrames;
  /** Of messages that the system has not taken yet. */
  #waitingBytes = 0;
  #onDrained: (() => void)[] = [];
  #tagRows = 0;
  #abandoned = false;
  #resolveOpened: () => void = () => {};
  #rejectOpened: (error: PgError) => void = () => {};
  #resolveEnded: () => void = () => {};

  constructor(options: CopyStreamOptions) {
    this.#options = options;
    this.site = options.site;
    this.#frames = new CopyFrames(options.pool, (message, frame) => this.#send(message, frame));
    this.opened = new Promise((resolve, reject) => {
      this.#resolveOpened = resolve;
      this.#rejectOpened = reject;
    });
    this.opened.catch(() => {});
    this.#ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    if (options.prologue.length > 0) this.append(options.prologue);
    void this.#start();
  }

  get full(): boolean {
    return this.#waitingBytes > this.#options.highWaterBytes;
  }

  append(bytes: Buffer): void {
    this.#frames.append(bytes);
  }

  /** `bytes[start, end)`. */
  appendSlice(bytes: Buffer, start: number, end: number): void {
    this.#frames.appendSlice(bytes, start, end);
  }

  /** A row of the text formats: `prefix`, `row` and a newline. */
  appendLine(prefix: Buffer | null, row: Buffer): void {
    this.#frames.appendLine(prefix, row);
  }

  /** CopyData messages that are whole already. */
  appendMessage(message: Buffer): void {
    this.flush();
    this.#send(message, null);
  }

  /** Sends what has been appended. */
  flush(): void {
    this.#frames.flush();
  }

  /** Resolves when the server has taken half of what may wait, or nothing is to wait for any more. */
  async drained(): Promise<void> {
    if (this.#state === 'joining') await Promise.race([this.opened.catch(() => {}), this.#ended]);
    if (this.#state === 'ended' || !this.full) return;
    await new Promise<void>((resolve) => {
      this.#onDrained.push(resolve);
    });
  }

  /** The data are complete. Gives the number of rows that the server's tag says. */
  async finish(): Promise<number> {
    if (this.#options.epilogue.length > 0) this.append(this.#options.epilogue);
    this.flush();
    this.#send(copyDoneMessage, null);
    await this.#ended;
    if (this.error) throw this.error;
    return this.#tagRows;
  }

  /** Ends the COPY with an error on the server's side, which is not reported. Resolves when the server is ready again. */
  async abandon(): Promise<void> {
    if (this.#state !== 'ended' && this.error === null) {
      // What comes before may still be found wrong, and then that is what went wrong first.
      this.flush();
      this.#send(encodeCopyFail('abandoned by the router'), null);
      this.#abandoned = true;
    }
    await this.#ended;
  }

  async #start(): Promise<void> {
    const { join, sql } = this.#options;
    try {
      const connection = await join();
      this.#connection = connection;
      this.#state = 'streaming';
      connection.submit(encodeQuery(sql), {
        onFrame: (type, frame) => this.#onFrame(type, frame, connection),
        onReady: () => this.#end(),
        onLost: (error) => {
          this.#fail(error);
          this.#end();
        },
      });
      this.#waitingBytes = 0;
      for (const { message, frame } of this.#queue.splice(0)) this.#send(message, frame);
    } catch (error) {
      this.#fail(error as PgError);
      this.#end();
    }
  }

  #onFrame(type: number, frame: Buffer, connection: ServerConnection): void {
    switch (type) {
      case backend.copyInResponse:
        this.#resolveOpened();
        return;
      case backend.commandComplete:
        this.#tagRows = Number(/ (\d+)$/.exec(decodeCommandComplete(frame))?.[1] ?? 0);
        return;
      case backend.errorResponse:
        this.#fail(serverError(frame, connection));
        return;
      case backend.noticeResponse:
        this.#options.onNotice(frame);
        return;
      default:
        return;
    }
  }

  #fail(error: PgError): void {
    if (this.error !== null || (this.#abandoned && error.code === conditions.queryCanceled)) return;
    this.error = error;
    this.#rejectOpened(error);
    this.#options.onError(error);
  }

  #end(): void {
    this.#state = 'ended';
    this.#queue = [];
    this.#waitingBytes = 0;
    this.#wakeWriters();
    this.#rejectOpened(this.error ?? pgError('queryCanceled', 'COPY was abandoned'));
    this.#resolveEnded();
  }

  #send(message: Buffer, frame: Frame | null): void {
    switch (this.#state) {
      case 'joining':
        this.#queue.push({ message, frame });
        this.#waitingBytes += message.length;
        return;
      case 'streaming':
        // Bytes behind an error would be read by the server, and dropped: save both the work.
        if (this.error !== null) return;
        this.#waitingBytes += message.length;
        this.#connection!.write(message, () => this.#sent(message.length, frame));
        return;
      case 'ended':
        return;
    }
  }

  #sent(bytes: number, frame: Frame | null): void {
    if (frame !== null) this.#options.pool.giveBack(frame);
    if (this.#state === 'ended') return;
    this.#waitingBytes -= bytes;
    if (this.#waitingBytes * 2 <= this.#options.highWaterBytes) this.#wakeWriters();
  }

  #wakeWriters(): void {
    for (const resolve of this.#onDrained.splice(0)) resolve();
  }
}
