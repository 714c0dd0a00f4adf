export type Side = 'commit' | 'opening';

/** What keeps the routers of a herd apart: asked for a side's turn, it answers with `granted()` at some time; commits share, openings exclude. */
export interface FenceLock {
  acquire(side: Side): void;
  release(side: Side): void;
}

type State =
  | { readonly kind: 'free' }
  | { readonly kind: 'asking'; readonly side: Side; readonly lock: FenceLock }
  | { readonly kind: 'held'; readonly side: Side; inside: number; closing: boolean; readonly lock: FenceLock | null };

/**
 * Whose turn it is: commits of distributed transactions, or openings of snapshots over several servers. Members of one side are
 * inside together, never beside the other side. Who comes while the other side waits, waits too, so neither starves. Pure: no clock, no
 * promise.
 *
 * Invariant: `#state` is held by one side, or by none.
 */
export class FenceTurns {
  #state: State = { kind: 'free' };
  #waiting: Record<Side, (() => void)[]> = { commit: [], opening: [] };
  #lock: FenceLock | null;
  #drained: (() => void) | null = null;

  constructor(lock: FenceLock | null = null) {
    this.#lock = lock;
  }

  /** The side that is inside now. */
  get side(): Side | null {
    return this.#state.kind === 'held' ? this.#state.side : null;
  }

  /** True: inside at once. Otherwise `admitted` is called later. */
  enter(side: Side, admitted: () => void): boolean {
    if (this.enterNow(side)) return true;
    const isFree = this.#state.kind === 'free';
    this.#waiting[side].push(admitted);
    if (isFree) this.#ask(side);
    return false;
  }

  /** True: inside. False: it takes a wait, and nobody waits. */
  enterNow(side: Side): boolean {
    const state = this.#state;
    if (state.kind === 'held' && state.side === side && !state.closing && this.#waiting[otherOf(side)].length === 0) {
      state.inside += 1;
      return true;
    }
    if (state.kind !== 'free' || this.#lock !== null) return false;
    this.#state = { kind: 'held', side, inside: 1, closing: false, lock: null };
    return true;
  }

  leave(): void {
    const state = this.#state;
    if (state.kind !== 'held') return;
    state.inside -= 1;
    if (state.inside > 0) return;
    this.#release(state.side, state.lock);
  }

  /** Waits no longer. False: it is inside already. */
  giveUp(side: Side, admitted: () => void): boolean {
    const at = this.#waiting[side].indexOf(admitted);
    if (at < 0) return false;
    this.#waiting[side].splice(at, 1);
    return true;
  }

  /** The lock that was asked for is there. */
  granted(): void {
    if (this.#state.kind === 'asking') this.#admit(this.#state.side, this.#state.lock);
  }

  /** Nobody joins those who are inside: other routers wait. */
  closeTurn(): void {
    if (this.#state.kind === 'held') this.#state.closing = true;
  }

  /** From the next turn on; `drained` is called when no turn without the lock is left. */
  useLock(lock: FenceLock, drained: () => void): void {
    this.#lock = lock;
    if (this.#state.kind === 'held' && this.#state.lock !== lock) {
      this.#state.closing = true;
      this.#drained = drained;
    } else drained();
  }

  #ask(side: Side): void {
    const lock = this.#lock;
    if (lock === null) {
      this.#admit(side, null);
      return;
    }
    this.#state = { kind: 'asking', side, lock };
    lock.acquire(side);
  }

  #admit(side: Side, lock: FenceLock | null): void {
    const admitted = this.#waiting[side];
    this.#waiting[side] = [];
    if (admitted.length === 0) {
      this.#release(side, lock);
      return;
    }
    this.#state = { kind: 'held', side, inside: admitted.length, closing: false, lock };
    for (const enter of admitted) enter();
  }

  #release(side: Side, lock: FenceLock | null): void {
    this.#state = { kind: 'free' };
    lock?.release(side);
    this.#drained?.();
    this.#drained = null;
    const next = this.#waiting[otherOf(side)].length > 0 ? otherOf(side) : side;
    if (this.#waiting[next].length > 0) this.#ask(next);
  }
}

function otherOf(side: Side): Side {
  return side === 'commit' ? 'opening' : 'commit';
}
