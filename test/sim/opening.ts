import { unreachable } from '../../src/core/assert.ts';
import { type OpeningEffect, openingProtocol } from '../../src/transaction/opening-protocol.ts';
import type { HerdLock } from './herd-lock.ts';
import type { RouterParts } from './router-parts.ts';

/** Takes snapshots of the sites and tells what they show, if it is sure. */
export function openSnapshots(
  parts: RouterParts,
  lock: HerdLock,
  sites: readonly number[],
  seen: (shown: ReadonlyMap<number, number>) => void,
): void {
  const opening = new Opening(parts, lock, sites);
  const protocol = openingProtocol();
  const go = (answer: boolean): void => {
    const step = protocol.next(answer);
    if (!step.done) opening.perform(step.value, go);
    else if (step.value === 'sure' && !opening.lost) seen(opening.shown);
  };
  go(true);
}

/** Does what the opening protocol asks for. */
class Opening {
  /** Site → the bits that its snapshot shows. */
  readonly shown = new Map<number, number>();
  lost = false;
  readonly #parts: RouterParts;
  readonly #lock: HerdLock;
  readonly #sites: readonly number[];

  constructor(parts: RouterParts, lock: HerdLock, sites: readonly number[]) {
    this.#parts = parts;
    this.#lock = lock;
    this.#sites = sites;
  }

  perform(effect: OpeningEffect, answer: (answer: boolean) => void): void {
    const { bug, turns, unsettled, after } = this.#parts;
    const isOutside = bug === 'openings enter without the fence';
    switch (effect.kind) {
      case 'await settled':
        this.#awaitSettled(() => answer(true));
        return;
      case 'enter fence':
        if (isOutside || turns.enter('opening', () => after(0, () => answer(true)))) answer(true);
        return;
      case 'look again':
        answer(bug === 'openings do not wait for untold nodes' || !unsettled.hideFrom(this.#sites));
        return;
      case 'take snapshots':
        this.#takeSnapshots(() => after(0, () => answer(true)));
        return;
      case 'confirm':
        this.#lock.confirm(this.#sites, answer);
        return;
      case 'leave fence':
        if (!isOutside) turns.leave();
        answer(true);
        return;
      default:
        unreachable(effect);
        return;
    }
  }

  #awaitSettled(settled: () => void): void {
    const { bug, unsettled, settled: waiters, sweep } = this.#parts;
    if (bug === 'openings do not wait for untold nodes' || !unsettled.hideFrom(this.#sites)) {
      settled();
      return;
    }
    waiters.add(() => this.#awaitSettled(settled));
    sweep();
  }

  #takeSnapshots(taken: () => void): void {
    let left = this.#sites.length;
    const ended = () => {
      left -= 1;
      if (left === 0) taken();
    };
    for (const site of this.#sites) {
      const connection = this.#parts.connect(site);
      connection.send(
        () => connection.server.visible,
        (visible) => {
          this.shown.set(site, visible);
          ended();
        },
        () => {
          this.lost = true;
          ended();
        },
      );
    }
  }
}
