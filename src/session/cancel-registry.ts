import { randomBytes, timingSafeEqual } from 'node:crypto';
import { noPeers, type Peers } from './peers.ts';

/** Process ids say in their upper bits which worker gave them out. */
const slotShift = 24;
export const maxWorkers = 128;

/** Who answers to which cancel key. One per process of the router. */
export class CancelRegistry {
  #entries = new Map<number, { readonly secret: Buffer; readonly cancel: () => void }>();
  #last = 0;
  readonly #slot: number;
  readonly #peers: Peers;

  constructor(slot = 0, peers: Peers = noPeers) {
    this.#slot = slot;
    this.#peers = peers;
  }

  register(cancel: () => void): { processId: number; secret: Buffer; unregister: () => void } {
    let processId: number;
    do {
      this.#last = (this.#last % (2 ** slotShift - 1)) + 1;
      processId = this.#slot * 2 ** slotShift + this.#last;
    } while (this.#entries.has(processId));
    const secret = randomBytes(4);
    this.#entries.set(processId, { secret, cancel });
    return { processId, secret, unregister: () => this.#entries.delete(processId) };
  }

  /** A wrong key is ignored in silence, as in PostgreSQL. */
  cancel(processId: number, secret: Buffer): void {
    const slot = processId >>> slotShift;
    if (slot !== this.#slot) {
      this.#peers.cancel(slot, processId, secret);
      return;
    }
    const entry = this.#entries.get(processId);
    if (entry && entry.secret.length === secret.length && timingSafeEqual(entry.secret, secret)) entry.cancel();
  }
}
