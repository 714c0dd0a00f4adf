import { type PgError, pgError } from '../core/errors.ts';
import { decodeUtf8 } from './utf8-text.ts';

/** Bytes before the body of every message: type and length. */
export const headerBytes = 5;

/**
 * Reads the body of one message, field by field. Every step is checked against the frame's end; the messages are those of
 * PostgreSQL's pqformat.c.
 */
export class MessageReader {
  readonly #frame: Buffer;
  #offset = headerBytes;

  constructor(frame: Buffer) {
    if (frame.length < headerBytes || frame.readUInt32BE(1) !== frame.length - 1)
      throw malformed('invalid message length');
    this.#frame = frame;
  }

  get remainingBytes(): number {
    return this.#frame.length - this.#offset;
  }

  uint8(): number {
    return this.#frame[this.#advance(1)]!;
  }

  int16(): number {
    return this.#frame.readInt16BE(this.#advance(2));
  }

  uint16(): number {
    return this.#frame.readUInt16BE(this.#advance(2));
  }

  int32(): number {
    return this.#frame.readInt32BE(this.#advance(4));
  }

  uint32(): number {
    return this.#frame.readUInt32BE(this.#advance(4));
  }

  /** A view. */
  bytes(count: number): Buffer {
    const start = this.#advance(count);
    return this.#frame.subarray(start, start + count);
  }

  /** Everything that is left, as a view. */
  rest(): Buffer {
    return this.bytes(this.remainingBytes);
  }

  /** An Int32 length and that many bytes (a view); null for -1. */
  value(): Buffer | null {
    const count = this.int32();
    return count === -1 ? null : this.bytes(count);
  }

  /** A count (Int16, read as unsigned: PostgreSQL takes up to 65,535) and that many numbers. */
  list(readOne: (reader: MessageReader) => number): number[] {
    const count = this.uint16();
    const numbers: number[] = [];
    for (let i = 0; i < count; i++) numbers.push(readOne(this));
    return numbers;
  }

  /** A zero-terminated string from a client: invalid UTF-8 is refused. */
  text(): string {
    const start = this.#offset;
    return decodeUtf8(this.#frame, start, this.#endOfText());
  }

  /**
   * A zero-terminated string from a server, which may still speak its own locale's encoding (errors before the session's
   * encoding is set): what is not UTF-8 shows as U+FFFD.
   */
  serverText(): string {
    const start = this.#offset;
    return this.#frame.toString('utf8', start, this.#endOfText());
  }

  /** Must be the last call: bytes that nobody read mean that both sides disagree about the message. */
  end(): void {
    if (this.#offset !== this.#frame.length) throw malformed('invalid message format');
  }

  #endOfText(): number {
    const end = this.#frame.indexOf(0, this.#offset);
    if (end === -1) throw malformed('invalid string in message');
    this.#offset = end + 1;
    return end;
  }

  #advance(count: number): number {
    const start = this.#offset;
    if (count < 0 || count > this.#frame.length - start) throw malformed('insufficient data left in message');
    this.#offset = start + count;
    return start;
  }
}

export function malformed(message: string): PgError {
  return pgError('protocolViolation', message);
}
