/** Keys up to this length are looked at without making an object for each. */
const maxViewBytes = 64;

/** Where a key's bytes stand while they are routed: one object for all rows. */
export class KeySlot {
  readonly value: { readonly format: 0 | 1; bytes: Buffer };
  /** By length. */
  readonly #views: Buffer[] = Array.from({ length: maxViewBytes + 1 }, (_, length) => Buffer.alloc(length));

  constructor(format: 0 | 1) {
    this.value = { format, bytes: this.#views[0]! };
  }

  /** `bytes[start, end)`; good until the next one. */
  set(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length > maxViewBytes) {
      this.value.bytes = bytes.subarray(start, end);
      return;
    }
    const view = this.#views[length]!;
    for (let i = 0; i < length; i++) view[i] = bytes[start + i]!;
    this.value.bytes = view;
  }
}
