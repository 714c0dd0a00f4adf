/** Runs after which a statement is judged anew. */
const runsPerVerdict = 16;
/** A statement that takes longer, even when it is quick, has nobody wait behind it. */
const shortMs = 1;
const smallBytes = 4_096;

/**
 * Whether a statement that only reads usually has a short answer soon: then others may wait behind it. The least time of some runs is what counts, for the
 * others may be the router's own delay.
 */
export class Pace {
  #runs = 0;
  #leastMs = Number.POSITIVE_INFINITY;
  #mostBytes = 0;
  #isShort = false;

  get isShort(): boolean {
    return this.#isShort;
  }

  /** `ms`: for which the server had nothing else to do for this connection. */
  note(ms: number, bytes: number): void {
    if (ms < this.#leastMs) this.#leastMs = ms;
    if (bytes > this.#mostBytes) this.#mostBytes = bytes;
    this.#runs += 1;
    if (this.#runs < runsPerVerdict) return;
    this.#isShort = this.#leastMs < shortMs && this.#mostBytes < smallBytes;
    this.#startAnew();
  }

  /** It has kept others waiting. */
  strike(): void {
    this.#isShort = false;
    this.#startAnew();
  }

  #startAnew(): void {
    this.#runs = 0;
    this.#leastMs = Number.POSITIVE_INFINITY;
    this.#mostBytes = 0;
  }
}
