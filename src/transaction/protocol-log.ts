import type { Clock } from '../core/clock.ts';
import type { Answer, Effect } from './protocol.ts';

/** One step of a distributed commit, as a person follows it. */
export interface ProtocolEvent {
  readonly number: number;
  readonly at: Date;
  readonly key: string;
  readonly step: 'begin' | 'prepare' | 'vote' | 'decision' | 'told' | 'outcome';
  readonly detail: string;
}

const maxEvents = 2_000;

/** The last steps of this router's distributed commits. Bounded, oldest out. */
export class ProtocolLog {
  readonly #clock: Clock;
  #events: ProtocolEvent[] = [];
  #number = 0;
  readonly #numberAfter: (last: number) => number;

  constructor(clock: Clock, numberAfter = (last: number) => last + 1) {
    this.#clock = clock;
    this.#numberAfter = numberAfter;
  }

  note(key: string, step: ProtocolEvent['step'], detail: string): void {
    this.#number = this.#numberAfter(this.#number);
    this.#events.push({ number: this.#number, at: new Date(this.#clock.nowMs()), key, step, detail });
    if (this.#events.length > 2 * maxEvents) this.#events = this.#events.slice(-maxEvents);
  }

  /** What a server is asked, where its answer may be long in coming. */
  noteAsked(key: string, effect: Effect): void {
    if (effect.kind === 'prepare')
      this.note(key, 'prepare', `node ${effect.node}: PREPARE TRANSACTION '${effect.gid}'`);
  }

  noteAnswer(key: string, effect: Effect, answer: Answer): void {
    const result = 'error' in answer ? `${answer.kind}: ${answer.error.message}` : answer.kind;
    switch (effect.kind) {
      case 'prepare':
        this.note(key, 'vote', `node ${effect.node}: ${answer.kind === 'done' ? 'prepared' : result}`);
        return;
      case 'decide':
        this.note(key, 'decision', answer.kind === 'done' ? 'commit' : result);
        return;
      case 'ask':
        this.note(key, 'decision', answer.kind === 'decided' ? `found: ${answer.decision}` : result);
        return;
      case 'finish':
        this.note(key, 'told', `node ${effect.node}: ${effect.verb} PREPARED ${result}`);
        return;
      default:
        return;
    }
  }

  get events(): readonly ProtocolEvent[] {
    return this.#events.slice(-maxEvents);
  }
}
