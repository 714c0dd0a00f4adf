import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import type { NodeId } from '../catalog/snapshot.ts';
import type { Clock } from '../core/clock.ts';
import { pgError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { SqlRunner } from '../core/runner.ts';
import { answerTo } from './answers.ts';
import type { CommitOutcome } from './commit-protocol.ts';
import { commitOn, endAll } from './ends.ts';
import type { Fence } from './fence.ts';
import type { TransactionName } from './gid.ts';
import type { Answer } from './protocol.ts';
import type { ProtocolLog } from './protocol-log.ts';
import { commitInTwoPhases } from './two-phase.ts';

export interface Participant {
  readonly site: Site;
  readonly connection: ServerConnection;
  readonly written: boolean;
}

export interface CommitHost {
  readonly clock: Clock;
  readonly log: Log;
  readonly fence: Fence;
  readonly protocolLog: ProtocolLog;
  /** A name no other transaction of the cluster has had or will have. */
  nextTransactionName(): TransactionName;
  /** Shows the coordinator that it is the router who decides. */
  decisionProof(name: TransactionName): string;
  /** Decides in a transaction of the router's own, while the session has changed nothing on the coordinator. */
  decideApart(name: TransactionName, nodes: readonly NodeId[], decided: (answer: Answer) => void): void;
  /** The coordinator as the router's own role, outside any transaction: records and asks for decisions. */
  control(): SqlRunner;
  /** One connection to a node, as the router's own role. */
  onNode<T>(node: NodeId, work: (connection: SqlRunner) => Promise<T>): Promise<T>;
  /** Its decision row may be forgotten. */
  served(keys: readonly string[]): void;
  /** It need not name these nodes any more. */
  told(key: string, nodes: readonly NodeId[]): void;
  /** The transaction is over for its session. */
  ended(name: TransactionName, outcome: CommitOutcome): void;
}

/**
 * Ends a transaction on all its servers (DESIGN 7). With at most one writer its own COMMIT decides. With more, every node that
 * wrote is prepared, then one row in `pgherd.transaction_decision` decides, written by the coordinator as the last resource.
 */
export async function commitParticipants(participants: readonly Participant[], host: CommitHost): Promise<void> {
  const writers = participants.filter((participant) => participant.written);
  if (writers.length > 1) return twoPhase(participants, host);
  const [writer] = writers;
  if (writer !== undefined) await passOpenings(host.fence);
  const coordinator = participants.find((participant) => participant.site === 'coordinator');
  await commitOne(writer ?? coordinator, participants);
}

/**
 * What one server commits by itself holds no fence, but is not sent while snapshots are being taken: a reader could see what was
 * built on it elsewhere, and not itself.
 */
export async function passOpenings(fence: Fence): Promise<void> {
  while (fence.opening) await fence.pass();
}

/** The one server whose COMMIT decides goes first; when it refuses, the others roll back. */
async function commitOne(decider: Participant | undefined, participants: readonly Participant[]): Promise<void> {
  const others = participants.filter((participant) => participant !== decider);
  if (decider !== undefined) {
    try {
      await commitPlainly(decider);
    } catch (error) {
      await endAll(others, 'ROLLBACK');
      throw error;
    }
  }
  await endAll(others, 'COMMIT');
}

/** COMMIT on one server. A connection lost underway leaves the outcome unknown: 08007 if it wrote, never a guess. */
async function commitPlainly({ connection, written }: Participant): Promise<void> {
  const answer = await answerTo(commitOn(connection));
  if (answer.kind === 'lost' && written) {
    throw pgError(
      'transactionResolutionUnknown',
      `connection to ${connection.target.label} was lost during COMMIT: the outcome is unknown`,
    );
  }
  if (answer.kind === 'lost' || answer.kind === 'refused') throw answer.error;
}

/** Two-phase commit for who waits by a promise. */
function twoPhase(participants: readonly Participant[], host: CommitHost): Promise<void> {
  return new Promise((resolve, reject) => {
    commitInTwoPhases(participants, host, (error) => (error === null ? resolve() : reject(error)));
  });
}
