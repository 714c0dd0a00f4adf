import type { NodeId } from '../catalog/snapshot.ts';
import { type PgError, pgError } from '../core/errors.ts';
import { decisionKey, participantGid, type TransactionName } from './gid.ts';
import type { Answer, Effect, Protocol, Verb } from './protocol.ts';

/** A transaction that wrote on several servers. */
export interface TransactionShape {
  readonly name: TransactionName;
  /** Those that wrote. */
  readonly nodes: readonly NodeId[];
  /** Its part in the transaction; `absent`: none. */
  readonly coordinator: 'writer' | 'reader' | 'absent';
}

export type CommitOutcome =
  /** `unsettled`: nodes that could not be told. */
  | { readonly kind: 'committed'; readonly unsettled: readonly NodeId[] }
  /** `recorded`: an 'abort' row may stand, and has to as long as a message of ours may still be on its way. */
  | {
      readonly kind: 'aborted';
      readonly error: PgError;
      readonly unsettled: readonly NodeId[];
      readonly recorded: boolean;
    }
  /** Prepared on all nodes, and nobody knows what was decided. */
  | { readonly kind: 'unknown'; readonly error: PgError; readonly unsettled: readonly NodeId[] };

/**
 * Two-phase commit (DESIGN 7): every node that wrote is prepared, then one row in `pgherd.transaction_decision` decides, written by
 * the coordinator as the last resource, then the nodes are told. From the decision to the last node told it is inside the fence.
 * PREPARE comes before the fence, since deferred constraints may wait for locks of somebody who waits for the fence.
 */
export function* commitProtocol(transaction: TransactionShape): Protocol<CommitOutcome> {
  const { name, nodes, coordinator } = transaction;
  const checks: Effect[] = coordinator === 'writer' ? [{ kind: 'check constraints' }] : [];
  const votes = yield [
    ...nodes.map((node): Effect => ({ kind: 'prepare', node, gid: participantGid(name, node) })),
    ...checks,
  ];
  const refusal = votes.find(isFailure);
  if (refusal !== undefined) return yield* abort(transaction, votes, refusal.error, false);
  yield [{ kind: 'enter fence' }];
  const outcome = yield* decided(transaction, votes);
  const untold = outcome.kind === 'aborted' ? [] : outcome.unsettled;
  const told = outcome.kind === 'committed' && untold.length > 0 ? nodes.filter((node) => !untold.includes(node)) : [];
  yield [
    {
      kind: 'leave fence',
      key: decisionKey(name),
      told,
      untold,
      served: outcome.kind === 'committed' && untold.length === 0,
    },
  ];
  return outcome;
}

function* decided(transaction: TransactionShape, votes: readonly Answer[]): Protocol<CommitOutcome> {
  const { name, nodes, coordinator } = transaction;
  const [answer] = yield [{ kind: 'decide', name, nodes, apart: coordinator !== 'writer' }];
  if (answer?.kind === 'refused') return yield* abort(transaction, votes, answer.error, false);
  if (answer?.kind === 'lost') {
    // Trying to record the opposite tells which one won: the primary key lets one through.
    const [asked] = yield [{ kind: 'ask', key: decisionKey(name) }];
    if (asked?.kind !== 'decided') return yield* unknown(transaction, answer.error);
    if (asked.decision === 'abort') return yield* abort(transaction, votes, answer.error, true);
  }
  const unsettled = yield* tell(nodes, name, 'COMMIT');
  yield [...endCoordinator(coordinator === 'reader', 'COMMIT'), { kind: 'end readers', verb: 'COMMIT' }];
  return { kind: 'committed', unsettled };
}

function* unknown({ nodes, name, coordinator }: TransactionShape, reason: PgError): Protocol<CommitOutcome> {
  yield [...endCoordinator(coordinator !== 'absent', 'ROLLBACK'), { kind: 'end readers', verb: 'ROLLBACK' }];
  const error = pgError(
    'transactionResolutionUnknown',
    'the coordinator was lost while the transaction was being decided: the outcome is unknown',
    {
      detail: `Transaction ${decisionKey(name)}: ${reason.message}`,
      hint: 'Recovery settles it as soon as the coordinator is back.',
    },
  );
  return { kind: 'unknown', error, unsettled: nodes };
}

/** Tells all nodes; who can't be told on the transaction's own connection is told on a new one. Gives the nodes that stay untold. */
function* tell(nodes: readonly NodeId[], name: TransactionName, verb: Verb): Protocol<readonly NodeId[]> {
  let untold = nodes;
  for (const anew of [false, true]) {
    if (untold.length === 0) break;
    const answers = yield untold.map(
      (node): Effect => ({ kind: 'finish', node, gid: participantGid(name, node), verb, anew }),
    );
    untold = untold.filter((_, index) => isFailure(answers[index]!));
  }
  return untold;
}

/** Nothing was decided, or the opposite: who is prepared rolls back. A lost vote may turn into a prepared transaction later. */
function* abort(
  { nodes, name, coordinator }: TransactionShape,
  votes: readonly Answer[],
  error: PgError,
  recorded: boolean,
): Protocol<CommitOutcome> {
  const prepared = nodes.filter((_, index) => votes[index]!.kind === 'done');
  const doubtful = nodes.filter((_, index) => votes[index]!.kind === 'lost');
  const untold = yield* tell(prepared, name, 'ROLLBACK');
  yield [...endCoordinator(coordinator !== 'absent', 'ROLLBACK'), { kind: 'end readers', verb: 'ROLLBACK' }];
  return { kind: 'aborted', error, unsettled: [...untold, ...doubtful], recorded };
}

function endCoordinator(takesPart: boolean, verb: Verb): Effect[] {
  return takesPart ? [{ kind: 'end coordinator', verb }] : [];
}

function isFailure(answer: Answer): answer is Extract<Answer, { error: PgError }> {
  return answer.kind === 'refused' || answer.kind === 'lost';
}
