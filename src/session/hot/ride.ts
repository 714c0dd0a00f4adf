import type { SharedConnection } from '../../backend/shared-connection.ts';
import type { Site } from '../../catalog/site.ts';
import { limits } from '../../core/limits.ts';
import { parseComplete } from '../../wire/backend.ts';
import type { Ride, SessionState } from '../session-state.ts';
import type { HotAnswer } from './hot-answer.ts';
import type { Run } from './run.ts';

/** Below, two answers have come together: what it took is not known. */
const apartMs = 0.05;

/** One statement's place in line with others'. */
export class HotRide implements Ride {
  readonly #answer: HotAnswer;
  readonly #site: Site;
  readonly shared: SharedConnection;

  constructor(answer: HotAnswer, site: Site, shared: SharedConnection) {
    this.#answer = answer;
    this.#site = site;
    this.shared = shared;
  }

  get backend(): { readonly site: Site; readonly processId: number } | null {
    if (!this.shared.isFirst(this.#answer)) return null;
    return { site: this.#site, processId: this.shared.connection.processId };
  }

  cancel(): void {
    if (this.shared.cancel(this.#answer)) this.#answer.cancelled();
  }
}

/** How long the server was at work on a statement, at most; null: its answer came together with the one before. Milliseconds. */
export function workMs(ride: HotRide | null, startMs: number, nowMs: number): number | null {
  const sinceMs = Math.max(startMs, ride?.shared.firstSinceMs ?? 0);
  return sinceMs === startMs || nowMs - sinceMs > apartMs ? nowMs - sinceMs : null;
}

/** It is a statement by itself that only reads, and has a short answer soon. */
export function mayRide({ route: { pace }, leaf, frame, before, prepared }: Run, session: SessionState): boolean {
  if (pace?.isShort !== true || leaf.constants.length > 0 || frame.length > limits.maxSharedStatementBytes)
    return false;
  const { client, transaction } = session;
  // It may be taken again, and a name can't be given twice.
  return !transaction.inBlock && !client.isBehind && (before[0] !== parseComplete || prepared?.name === '');
}

/** Whether others may wait behind such a statement from now on. `ms`: as by `workMs`. */
export function judge({ route: { pace } }: Run, answer: HotAnswer, ms: number | null): void {
  if (pace === null) return;
  if (answer.isHeavy) pace.strike();
  else if (answer.error === null && ms !== null) pace.note(ms, answer.bytes);
}
