import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { type PgError, pgError } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import { decodeCommandComplete } from '../wire/backend.ts';
import { copyDoneMessage, encodeCopyFail, encodeQuery } from '../wire/frontend.ts';
import { backend, frontend } from '../wire/message-types.ts';
import { serverError } from './exchange.ts';

const headerBytes = 5;
/** Rows are joined into CopyData messages of this size. */
const messageBytes = 65_536;

export interface CopyStreamOptions {
  readonly site: Site;
  /** `COPY … FROM STDIN …` */
  readonly sql: string;
  /** Bytes that may wait here before `full` asks the writer to stop. */
  readonly highWaterBytes: number;
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
  #queue: Buffer[] = [];
  #frame: Buffer = startFrame(messageBytes);
  #used = headerBytes;
  #backlogBytes = 0;
  #tagRows = 0;
  #abandoned = false;
  #resolveOpened: () => void = () => {};
  #rejectOpened: (error: PgError) => void = () => {};
  #resolveEnded: () => void = () => {};

  constructor(options: CopyStreamOptions) {
    this.#options = options;
    this.site = options.site;
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
    return this.#backlogBytes > this.#options.highWaterBytes;
  }

  append(bytes: Buffer): void {
    const at = this.#reserve(bytes.length);
    this.#frame.set(bytes, at);
  }

  /** `bytes[start, end)`. */
  appendSlice(bytes: Buffer, start: number, end: number): void {
    const at = this.#reserve(end - start);
    // A plain array costs half of what a Buffer of the same bytes does.
    this.#frame.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start), at);
  }

  /** A row of the text formats: `prefix`, `row` and a newline. */
  appendLine(prefix: Buffer | null, row: Buffer): void {
    const prefixBytes = prefix === null ? 0 : prefix.length;
    const at = this.#reserve(prefixBytes + row.length + 1);
    if (prefix !== null) this.#frame.set(prefix, at);
    this.#frame.set(row, at + prefixBytes);
    this.#frame[at + prefixBytes + row.length] = 0x0a;
  }

  /** Sends what has been appended. */
  flush(): void {
    if (this.#used === headerBytes) return;
    const frame = this.#frame.subarray(0, this.#used);
    frame.writeInt32BE(this.#used - 1, 1);
    // The frame belongs to the socket from here on. A small one is copied, so that it doesn't hold on to all its space.
    if (this.#used < messageBytes / 4) {
      this.#send(Buffer.from(frame));
    } else {
      this.#send(frame);
      this.#frame = startFrame(messageBytes);
    }
    this.#used = headerBytes;
  }

  /** Resolves when the server has taken what waited, or nothing is to wait for any more. */
  async drained(): Promise<void> {
    if (this.#state === 'joining') await Promise.race([this.opened.catch(() => {}), this.#ended]);
    const connection = this.#connection;
    if (this.#state === 'ended' || connection === null) return;
    await connection.drained();
    this.#backlogBytes = 0;
  }

  /** The data are complete. Gives the number of rows that the server's tag says. */
  async finish(): Promise<number> {
    if (this.#options.epilogue.length > 0) this.append(this.#options.epilogue);
    this.flush();
    this.#send(copyDoneMessage);
    await this.#ended;
    if (this.error) throw this.error;
    return this.#tagRows;
  }

  /** Ends the COPY with an error on the server's side, which is not reported. Resolves when the server is ready again. */
  async abandon(): Promise<void> {
    if (this.#state !== 'ended' && this.error === null) {
      // What comes before may still be found wrong, and then that is what went wrong first.
      this.flush();
      this.#send(encodeCopyFail('abandoned by the router'));
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
      this.#backlogBytes = 0;
      for (const frame of this.#queue.splice(0)) this.#send(frame);
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
    this.#backlogBytes = 0;
    this.#rejectOpened(this.error ?? pgError('queryCanceled', 'COPY was abandoned'));
    this.#resolveEnded();
  }

  #send(frame: Buffer): void {
    switch (this.#state) {
      case 'joining':
        this.#queue.push(frame);
        this.#backlogBytes += frame.length;
        return;
      case 'streaming':
        // Bytes behind an error would be read by the server, and dropped: save both the work.
        if (this.error !== null) return;
        if (this.#connection!.write(frame)) this.#backlogBytes = 0;
        else this.#backlogBytes += frame.length;
        return;
      case 'ended':
        return;
    }
  }

  /** Space for so many bytes in the frame; gives where it starts. */
  #reserve(bytes: number): number {
    if (this.#used + bytes > this.#frame.length) {
      this.flush();
      if (bytes > this.#frame.length - headerBytes) this.#frame = startFrame(bytes);
    }
    const at = this.#used;
    this.#used += bytes;
    return at;
  }
}

function startFrame(bodyBytes: number): Buffer {
  const frame = Buffer.allocUnsafeSlow(headerBytes + bodyBytes);
  frame[0] = frontend.copyData;
  return frame;
}
