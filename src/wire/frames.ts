import { assert } from '../core/assert.ts';
import { headerBytes, malformed } from './message-reader.ts';
import { backend } from './message-types.ts';
import { PendingBytes } from './pending-bytes.ts';

export { readStartupPacket, type StartupPacket } from './startup-packet.ts';

/**
 * `type` is the message byte; `frame` the whole message with its 5-byte header. The frame is a view into the chunk when it
 * lies wholly inside. It may be retained: a Buffer view keeps its chunk alive and nobody writes into it again, but it then
 * keeps the *whole* chunk alive (64 KiB for a 30-byte frame), so copy what is kept for long.
 */
export type FrameHandler = (type: number, frame: Buffer) => void;

/** Takes a DataRow where it stands, `chunk[start, end)`, header included, without an object for it. False: it wants it as a frame. */
export type RowTaker = (chunk: Buffer, start: number, end: number) => boolean;

/**
 * Cuts a byte stream into messages, wherever its chunks end. `maxFrameBytes` bounds the length word, which counts itself and
 * the body but not the type byte; it is checked before anything is buffered. What a handler throws leaves `push`, and the
 * bytes after that frame wait for the next `push`; after a protocol violation every push throws it again.
 */
export class FrameCutter {
  #maxFrameBytes: number;
  readonly #pending = new PendingBytes();
  /** The chunk that push is cutting, and how far it got: fields, so that a handler can take the rest. */
  #chunk = nothing;
  #offset = 0;
  #violation: Error | null = null;

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Takes effect from the next frame, also when a handler sets it. */
  set maxFrameBytes(value: number) {
    this.#maxFrameBytes = value;
  }

  get maxFrameBytes(): number {
    return this.#maxFrameBytes;
  }

  /** Bytes that were pushed and are not part of a frame handed out. */
  get bufferedBytes(): number {
    return this.#pending.length + this.#chunk.length - this.#offset;
  }

  /** `onRow` is asked first of the DataRows that lie wholly in the chunk. */
  push(chunk: Buffer, onFrame: FrameHandler, onRow: RowTaker | null = null): void {
    if (this.#violation !== null) throw this.#violation;
    assert(this.#chunk.length === 0, 'a frame handler does not push into its own cutter');
    this.#chunk = chunk;
    this.#offset = 0;
    try {
      if (this.#pending.length === 0 || this.#completePending(onFrame)) this.#cutWhole(onFrame, onRow);
    } finally {
      this.#keepRest();
    }
  }

  /** The bytes after the last frame handed out, for whoever reads the stream next (TLS, another cutter). */
  takeRest(): Buffer {
    this.#keepRest();
    return this.#pending.take();
  }

  #cutWhole(onFrame: FrameHandler, onRow: RowTaker | null): void {
    while (this.#chunk.length - this.#offset >= headerBytes) {
      const chunk = this.#chunk;
      const start = this.#offset;
      const end = start + this.#frameBytes(chunk, start);
      if (end > chunk.length) return;
      this.#offset = end;
      if (onRow !== null && chunk[start] === backend.dataRow && onRow(chunk, start, end)) continue;
      onFrame(chunk[start]!, chunk.subarray(start, end));
    }
  }

  /** False when the chunk ended before the frame did. */
  #completePending(onFrame: FrameHandler): boolean {
    if (!this.#fillTo(headerBytes)) return false;
    if (!this.#fillTo(this.#frameBytes(this.#pending.first, 0))) return false;
    const frame = this.#pending.take();
    onFrame(frame[0]!, frame);
    return true;
  }

  #fillTo(bytes: number): boolean {
    const missingBytes = bytes - this.#pending.length;
    const end = Math.min(this.#offset + Math.max(missingBytes, 0), this.#chunk.length);
    this.#pending.append(this.#chunk.subarray(this.#offset, end));
    this.#offset = end;
    return this.#pending.length >= bytes;
  }

  /** Bytes of the whole frame that starts at `start`, its length word checked. */
  #frameBytes(bytes: Buffer, start: number): number {
    const length = bytes.readUInt32BE(start + 1);
    if (length < 4 || length > this.#maxFrameBytes) {
      this.#violation = malformed(`invalid message length: ${length}`);
      this.#pending.clear();
      this.#chunk = nothing;
      this.#offset = 0;
      throw this.#violation;
    }
    return length + 1;
  }

  #keepRest(): void {
    this.#pending.append(this.#chunk.subarray(this.#offset));
    this.#chunk = nothing;
    this.#offset = 0;
  }
}

const nothing: Buffer = Buffer.alloc(0);
