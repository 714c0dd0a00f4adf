import { assert } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import { headerBytes } from './message-reader.ts';

/** The largest length word; PostgreSQL's own buffers end at 1 GiB, so a peer refuses less than this already. */
const maxLengthWord = 0x7fffffff;
const maxCount = 0xffff;

/** Writes one message into a buffer of exactly its size: callers add up the body first, so nothing grows or is copied. */
export class MessageWriter {
  readonly #frame: Buffer;
  #offset = headerBytes;

  constructor(type: number, bodyBytes: number) {
    if (bodyBytes + 4 > maxLengthWord)
      throw pgError('programLimitExceeded', `message of ${bodyBytes} bytes is too long`);
    this.#frame = Buffer.allocUnsafe(headerBytes + bodyBytes);
    this.#frame[0] = type;
    this.#frame.writeInt32BE(bodyBytes + 4, 1);
  }

  uint8(value: number): this {
    this.#offset = this.#frame.writeUInt8(value, this.#offset);
    return this;
  }

  int16(value: number): this {
    this.#offset = this.#frame.writeInt16BE(value, this.#offset);
    return this;
  }

  int32(value: number): this {
    this.#offset = this.#frame.writeInt32BE(value, this.#offset);
    return this;
  }

  uint32(value: number): this {
    this.#offset = this.#frame.writeUInt32BE(value, this.#offset);
    return this;
  }

  /** The number of things that follow, an unsigned Int16. */
  count(value: number): this {
    if (value > maxCount) throw pgError('programLimitExceeded', `${value} items in a message: at most ${maxCount} fit`);
    this.#offset = this.#frame.writeUInt16BE(value, this.#offset);
    return this;
  }

  bytes(value: Buffer): this {
    this.#offset += value.copy(this.#frame, this.#offset);
    return this;
  }

  /** A zero-terminated string; its size comes from `terminatedBytes`, which also refuses a NUL inside. */
  text(value: string): this {
    this.#offset += this.#frame.write(value, this.#offset, 'utf8');
    return this.uint8(0);
  }

  /** An Int32 length and the bytes; -1 for null. */
  value(value: Buffer | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).bytes(value);
  }

  finish(): Buffer {
    assert(this.#offset === this.#frame.length, 'a message is as long as its encoder added up');
    return this.#frame;
  }
}

/** Bytes of a list of values, each with its length word. */
export function valuesBytes(values: readonly (Buffer | null)[]): number {
  let bytes = 4 * values.length;
  for (const value of values) bytes += value === null ? 0 : value.length;
  return bytes;
}

export function emptyMessage(type: number): Buffer {
  return new MessageWriter(type, 0).finish();
}
