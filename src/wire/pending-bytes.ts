/** Neighbours are merged while they are this small together: a peer that sends byte by byte must not cost an object a byte. */
const mergeBytes = 4096;

/**
 * Bytes of something that is not complete yet, in the pieces they arrived in. Appending copies at most `mergeBytes`;
 * `take` concatenates once, so a frame of n bytes costs n, not n² / chunk.
 */
export class PendingBytes {
  #pieces: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The first piece: all of it, while no more than a header has been appended. */
  get first(): Buffer {
    return this.#pieces[0] ?? nothing;
  }

  append(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#length += piece.length;
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.length + piece.length <= mergeBytes) {
      this.#pieces[this.#pieces.length - 1] = Buffer.concat([last, piece]);
    } else {
      this.#pieces.push(piece);
    }
  }

  /** Everything that was appended, as one buffer; the list is empty afterwards. */
  take(): Buffer {
    const pieces = this.#pieces;
    const bytes = this.#length;
    this.clear();
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, bytes);
  }

  clear(): void {
    this.#pieces = [];
    this.#length = 0;
  }
}

const nothing = Buffer.alloc(0);
