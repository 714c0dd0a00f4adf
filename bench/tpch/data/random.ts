/** mulberry32: 32 bits of state, so that each row can have a generator of its own that costs nothing to make. */
export class RowRandom {
  #state: number;

  /** The same `seed`, `stream` and `row` always give the same numbers. */
  constructor(seed: number, stream: number, row: number) {
    this.#state = mix(mix(mix(seed) ^ stream) ^ row);
  }

  /** 0 ≤ x < 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** Both bounds may come. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)]!;
  }
}

/** The finalizer of MurmurHash3: neighbouring rows get seeds that have nothing in common. */
function mix(value: number): number {
  let x = (value + 0x9e3779b9) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
