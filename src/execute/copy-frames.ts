import { frontend } from '../wire/message-types.ts';

const headerBytes = 5;
/** Rows are joined into CopyData messages of this size. */
export const messageBytes = 65_536;
/** From here on the engine's own copying costs less than a loop over words. */
const minSetBytes = 160;

/** Space for one CopyData message. */
export interface Frame {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** Frames that have been sent and are filled again: new ones for each message are what the garbage collector is busy with. */
export class FramePool {
  readonly #spare: Frame[] = [];

  take(): Frame {
    return this.#spare.pop() ?? createFrame(messageBytes);
  }

  /** Nobody looks at it any more. */
  giveBack(frame: Frame): void {
    if (frame.bytes.length === headerBytes + messageBytes) this.#spare.push(frame);
  }
}

/** A message to be sent; `frame`: what it stands in, which may be filled again then. */
export type FullFrameHandler = (message: Buffer, frame: Frame | null) => void;

/** Joins bytes into CopyData messages; what is appended at once stays in one of them. */
export class CopyFrames {
  readonly #pool: FramePool;
  readonly #give: FullFrameHandler;
  #frame: Frame;
  #used = headerBytes;
  /** The memory that was copied from last: one view serves all the rows of a chunk. */
  #source: DataView = new DataView(new ArrayBuffer(0));

  constructor(pool: FramePool, give: FullFrameHandler) {
    this.#pool = pool;
    this.#give = give;
    this.#frame = pool.take();
  }

  append(bytes: Buffer): void {
    this.appendSlice(bytes, 0, bytes.length);
  }

  /** `bytes[start, end)`. */
  appendSlice(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    const at = this.#reserve(length);
    if (length < minSetBytes) this.#copyWords(bytes, start, at, length);
    // A plain array costs half of what a Buffer of the same bytes does.
    else this.#frame.bytes.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, length), at);
  }

  /** A row of the text formats: `prefix`, `row` and a newline. */
  appendLine(prefix: Buffer | null, row: Buffer): void {
    const prefixBytes = prefix === null ? 0 : prefix.length;
    const at = this.#reserve(prefixBytes + row.length + 1);
    const { bytes } = this.#frame;
    if (prefix !== null) bytes.set(prefix, at);
    if (row.length < minSetBytes) this.#copyWords(row, 0, at + prefixBytes, row.length);
    else bytes.set(row, at + prefixBytes);
    bytes[at + prefixBytes + row.length] = 0x0a;
  }

  /** Gives what has been appended. */
  flush(): void {
    if (this.#used === headerBytes) return;
    const { bytes, view } = this.#frame;
    view.setInt32(1, this.#used - 1);
    const message = bytes.subarray(0, this.#used);
    // A small one is copied, so that it doesn't hold on to all its space.
    if (this.#used < messageBytes / 4) this.#give(Buffer.from(message), null);
    else {
      this.#give(message, this.#frame);
      this.#frame = this.#pool.take();
    }
    this.#used = headerBytes;
  }

  /** Words of four bytes: rows are short, and no object is made for each. */
  #copyWords(bytes: Buffer, start: number, at: number, length: number): void {
    if (bytes.buffer !== this.#source.buffer) this.#source = new DataView(bytes.buffer);
    const source = this.#source;
    const { view } = this.#frame;
    let from = bytes.byteOffset + start;
    const end = from + length;
    for (const stop = end - 3; from < stop; from += 4, at += 4) view.setInt32(at, source.getInt32(from));
    for (; from < end; from += 1, at += 1) view.setUint8(at, source.getUint8(from));
  }

  /** Space for so many bytes in the frame; gives where it starts. */
  #reserve(bytes: number): number {
    if (this.#used + bytes > this.#frame.bytes.length) {
      this.flush();
      if (bytes > this.#frame.bytes.length - headerBytes) {
        this.#pool.giveBack(this.#frame);
        this.#frame = createFrame(bytes);
      }
    }
    const at = this.#used;
    this.#used += bytes;
    return at;
  }
}

function createFrame(bodyBytes: number): Frame {
  const bytes = Buffer.allocUnsafeSlow(headerBytes + bodyBytes);
  bytes[0] = frontend.copyData;
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}
