import { pgError } from '../../src/core/errors.ts';
import type { FenceTurns } from '../../src/transaction/fence-turns.ts';
import type { Answer, Effect, Protocol } from '../../src/transaction/protocol.ts';
import type { TransactionBook } from '../../src/transaction/transaction-book.ts';
import type { UnsettledCommits } from '../../src/transaction/unsettled-commits.ts';
import type { Bug } from './sabotage.ts';
import type { SimConnection, SimServer } from './servers.ts';
import type { World } from './world.ts';

const lostError = pgError('connectionFailure', 'lost');
const refusedError = pgError('inFailedSqlTransaction', 'refused');
export const lostAnswer: Answer = { kind: 'lost', error: lostError };
export const refusal: Answer = { kind: 'refused', error: refusedError };
export const done: Answer = { kind: 'done' };

export type Reply = (answer: Answer) => void;

/** What the parts of one simulated router share. */
export interface RouterParts {
  readonly world: World;
  /** By site; 0 is the coordinator. */
  readonly servers: readonly SimServer[];
  readonly bug: Bug | null;
  /** Several routers share the herd, and this one knows. */
  readonly shares: boolean;
  readonly turns: FenceTurns;
  readonly book: TransactionBook;
  readonly unsettled: UnsettledCommits;
  readonly settled: SettledWaiters;
  isAlive(): boolean;
  epoch(): number;
  connect(site: number): SimConnection;
  /** A dead router does nothing any more. */
  after(delayMs: number, run: () => void): void;
  sweep(): void;
}

/** Openings that wait until no node of theirs owes a commit. */
export class SettledWaiters {
  #waiting: (() => void)[] = [];

  add(wake: () => void): void {
    this.#waiting.push(wake);
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

/** Runs a protocol of src/transaction: each step's effects together. */
export function drive<Outcome>(
  { after }: RouterParts,
  protocol: Protocol<Outcome>,
  perform: (effect: Effect, answer: Reply) => void,
  over: (outcome: Outcome) => void,
): void {
  const go = (answers: readonly Answer[]): void => {
    const step = protocol.next(answers);
    if (step.done) {
      over(step.value);
      return;
    }
    const effects = step.value;
    const got: Answer[] = [];
    let left = effects.length;
    if (left === 0) {
      after(0, () => go([]));
      return;
    }
    for (const [index, effect] of effects.entries()) {
      perform(effect, (answer) => {
        got[index] = answer;
        left -= 1;
        if (left === 0) after(0, () => go(got));
      });
    }
  };
  go([]);
}

/** One exchange over a connection of its own. */
export function atSite(
  { connect }: RouterParts,
  site: number,
  carryOut: (server: SimServer) => Answer,
  answer: Reply,
): void {
  const connection = connect(site);
  connection.send(
    () => carryOut(connection.server),
    answer,
    () => answer(lostAnswer),
  );
}

/** Inside the fence with the commits' side. */
export function enterFence({ turns, after }: RouterParts, answer: Reply): void {
  if (turns.enter('commit', () => after(0, () => answer(done)))) answer(done);
}
