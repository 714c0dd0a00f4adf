import { randomBytes, timingSafeEqual } from 'node:crypto';

/** Who answers to which cancel key. One per router process. */
export class CancelRegistry {
  #entries = new Map<number, { readonly secret: Buffer; readonly cancel: () => void }>();
  #lastProcessId = 0;

  register(cancel: () => void): { processId: number; secret: Buffer; unregister: () => void } {
    do this.#lastProcessId = (this.#lastProcessId % 0x7fffffff) + 1;
    while (this.#entries.has(this.#lastProcessId));
    const processId = this.#lastProcessId;
    const secret = randomBytes(4);
    this.#entries.set(processId, { secret, cancel });
    return { processId, secret, unregister: () => this.#entries.delete(processId) };
  }

  /** A wrong key is ignored in silence, as in PostgreSQL. */
  cancel(processId: number, secret: Buffer): void {
    const entry = this.#entries.get(processId);
    if (entry && entry.secret.length === secret.length && timingSafeEqual(entry.secret, secret)) entry.cancel();
  }
}
