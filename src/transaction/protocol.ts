import type { NodeId } from '../catalog/snapshot.ts';
import type { PgError } from '../core/errors.ts';
import type { TransactionName } from './gid.ts';

/*
 * Commit and recovery are written as generators without effects: each yields what is to be done now, in parallel, and is handed the
 * answers. The router does it on real servers (perform.ts); the simulation in test/sim does the same on servers that lose messages and crash.
 */

export type Verb = 'COMMIT' | 'ROLLBACK';

export type Effect =
  | { readonly kind: 'prepare'; readonly node: NodeId; readonly gid: string }
  /** Deferred constraints of the coordinator: what could refuse or wait does so before the fence is entered. */
  | { readonly kind: 'check constraints' }
  | { readonly kind: 'enter fence' }
  /** `told`: of a commit that other nodes still owe. `untold`: nodes that don't show yet what was decided, or may have been. Nobody may take a snapshot there before they do. */
  | {
      readonly kind: 'leave fence';
      readonly key: string;
      readonly told: readonly NodeId[];
      readonly untold: readonly NodeId[];
      /** All are told of a commit: nobody needs its decision row any more. */
      readonly served: boolean;
    }
  /** The row that decides, and COMMIT, in the coordinator's own transaction or in one apart. */
  | {
      readonly kind: 'decide';
      readonly name: TransactionName;
      readonly nodes: readonly NodeId[];
      readonly apart: boolean;
    }
  /** Records 'abort' unless the transaction is decided; tells which decision stands. */
  | { readonly kind: 'ask'; readonly key: string }
  /** COMMIT PREPARED or ROLLBACK PREPARED: on the participant's own connection, or on a new one of the router's. */
  | {
      readonly kind: 'finish';
      readonly node: NodeId;
      readonly gid: string;
      readonly verb: Verb;
      readonly anew: boolean;
    }
  | { readonly kind: 'end coordinator'; readonly verb: Verb }
  | { readonly kind: 'end readers'; readonly verb: Verb }
  /** Decisions of fenced epochs: nothing can be added to them, and nobody prepares under them but who had begun to. */
  | { readonly kind: 'list fenced decisions' }
  | { readonly kind: 'list prepared'; readonly node: NodeId }
  /** All dead routers are fenced, so that nothing of theirs is decided any more. */
  | { readonly kind: 'fence dead epochs' }
  /** Fences the epoch if its router is dead. */
  | { readonly kind: 'fence epoch'; readonly epoch: number }
  /** Decision rows that have served are to be deleted some time; among several routers only while the herd's lock is held. */
  | { readonly kind: 'forget'; readonly keys: readonly string[] };

export type Answer =
  | { readonly kind: 'done' }
  /** The server said no: nothing has happened. */
  | { readonly kind: 'refused'; readonly error: PgError }
  /** Nobody knows whether it has happened, or will. */
  | { readonly kind: 'lost'; readonly error: PgError }
  | { readonly kind: 'decided'; readonly decision: 'commit' | 'abort' }
  | { readonly kind: 'listed'; readonly names: readonly string[] }
  | { readonly kind: 'decisions'; readonly decisions: readonly RecordedDecision[] }
  | { readonly kind: 'epoch'; readonly dead: boolean };

/** A row of `pgherd.transaction_decision`; an abort names no nodes. */
export interface RecordedDecision {
  readonly key: string;
  readonly decision: 'commit' | 'abort';
  readonly nodes: readonly NodeId[];
}

export type Protocol<Outcome> = Generator<readonly Effect[], Outcome, readonly Answer[]>;

/** Carries out one effect, at once or later; `answered` is called once. */
export type Performer = (effect: Effect, answered: (answer: Answer) => void) => void;

/** Hears how a protocol ended: its outcome, or a fault of our own, after which nothing more of it is done. */
export interface ProtocolEnd<Outcome> {
  ended(outcome: Outcome): void;
  failed(fault: unknown): void;
}

/** Runs a protocol without a promise: each step's effects together, the next step when the last of them is answered. */
export function driveProtocol<Outcome>(
  protocol: Protocol<Outcome>,
  perform: Performer,
  end: ProtocolEnd<Outcome>,
): void {
  const advance = (first: readonly Answer[]): void => {
    let step: IteratorResult<readonly Effect[], Outcome>;
    try {
      let answers: readonly Answer[] | null = first;
      do {
        step = protocol.next(answers);
        answers = step.done ? null : performAll(step.value, perform, advance);
      } while (answers !== null);
    } catch (fault) {
      end.failed(fault);
      return;
    }
    if (step.done) end.ended(step.value);
  };
  advance([]);
}

/** The answers, if all came at once; otherwise they go to `later`. */
function performAll(
  effects: readonly Effect[],
  perform: Performer,
  later: (answers: readonly Answer[]) => void,
): readonly Answer[] | null {
  const answers = new Array<Answer>(effects.length);
  let missing = effects.length;
  let allAsked = false;
  for (const [place, effect] of effects.entries()) {
    perform(effect, (answer) => {
      answers[place] = answer;
      missing -= 1;
      if (missing === 0 && allAsked) later(answers);
    });
  }
  allAsked = true;
  return missing === 0 ? answers : null;
}

/** The same for who waits by promises. */
export async function runProtocol<Outcome>(
  protocol: Protocol<Outcome>,
  perform: (effect: Effect) => Promise<Answer>,
): Promise<Outcome> {
  let step = protocol.next([]);
  while (!step.done) step = protocol.next(await Promise.all(step.value.map(perform)));
  return step.value;
}
