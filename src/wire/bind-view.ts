import { headerBytes } from './message-reader.ts';

/** Beyond that a Bind is decoded as usual. */
const maxValues = 128;

/**
 * A Bind message read where it lies: offsets into the frame, nothing decoded or allocated. One view serves many messages, one after the
 * other; what it says holds until the next `read`.
 */
export class BindView {
  frame: Buffer = nothing;
  /** The statement's name is in [nameStart, nameEnd), behind a portal's name that is empty. */
  nameStart = 0;
  nameEnd = 0;
  parameterCount = 0;
  resultFormatCount = 0;
  #formatCount = 0;
  #formatsAt = 0;
  #resultFormatsAt = 0;
  readonly #starts = new Int32Array(maxValues);
  /** -1 is NULL. */
  readonly #lengths = new Int32Array(maxValues);

  /** False: malformed, of a named portal, or larger than usual. Nobody has been told of anything then. */
  read(frame: Buffer): boolean {
    if (frame.length < headerBytes + 8 || frame[headerBytes] !== 0) return false;
    this.frame = frame;
    this.nameStart = headerBytes + 1;
    this.nameEnd = frame.indexOf(0, this.nameStart);
    if (this.nameEnd < 0) return false;
    return this.#readFormats() && this.#readValues() && this.#readResultFormats();
  }

  /** All behind the statement's name, to the end of the message. */
  get restStart(): number {
    return this.nameEnd + 1;
  }

  formatOf(parameter: number): 0 | 1 {
    if (this.#formatCount === 0) return 0;
    const at = this.#formatsAt + (this.#formatCount === 1 ? 0 : 2 * parameter);
    return this.frame[at + 1] === 1 ? 1 : 0;
  }

  isNull(parameter: number): boolean {
    return this.#lengths[parameter]! < 0;
  }

  /** A view. */
  bytesOf(parameter: number): Buffer {
    const start = this.#starts[parameter]!;
    return this.frame.subarray(start, start + this.#lengths[parameter]!);
  }

  resultFormatOf(column: number): 0 | 1 {
    return this.frame[this.#resultFormatsAt + 2 * column + 1] === 1 ? 1 : 0;
  }

  #readFormats(): boolean {
    const at = this.restStart;
    this.#formatCount = this.#count(at);
    this.#formatsAt = at + 2;
    return this.#areFormats(this.#formatsAt, this.#formatCount);
  }

  #readValues(): boolean {
    const { frame } = this;
    let at = this.#formatsAt + 2 * this.#formatCount;
    const count = this.#count(at);
    if (count < 0 || count > maxValues || (this.#formatCount > 1 && this.#formatCount !== count)) return false;
    this.parameterCount = count;
    at += 2;
    for (let i = 0; i < count; i++) {
      if (at + 4 > frame.length) return false;
      const bytes = frame.readInt32BE(at);
      at += 4;
      if (bytes < -1 || (bytes > 0 && bytes > frame.length - at)) return false;
      this.#starts[i] = at;
      this.#lengths[i] = bytes;
      if (bytes > 0) at += bytes;
    }
    this.#resultFormatsAt = at + 2;
    return true;
  }

  #readResultFormats(): boolean {
    const at = this.#resultFormatsAt;
    this.resultFormatCount = this.#count(at - 2);
    return this.#areFormats(at, this.resultFormatCount) && at + 2 * this.resultFormatCount === this.frame.length;
  }

  /** -1: the message ends before. */
  #count(at: number): number {
    return at + 2 > this.frame.length ? -1 : this.frame[at]! * 256 + this.frame[at + 1]!;
  }

  #areFormats(at: number, count: number): boolean {
    const { frame } = this;
    if (count < 0 || at + 2 * count > frame.length) return false;
    for (let i = at; i < at + 2 * count; i += 2) if (frame[i] !== 0 || frame[i + 1]! > 1) return false;
    return true;
  }
}

const nothing: Buffer = Buffer.alloc(0);
