import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import type { NodeId } from '../catalog/snapshot.ts';
import { unreachable } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import { type PgError, pgError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { SqlRunner } from '../core/runner.ts';
import { answerTo, failure, finishPrepared } from './answers.ts';
import { type CommitOutcome, commitProtocol } from './commit-protocol.ts';
import { askDecision, decideSql } from './decision-sql.ts';
import type { Fence } from './fence.ts';
import { decisionKey, type TransactionName } from './gid.ts';
import { type Answer, type Effect, runProtocol } from './protocol.ts';
import type { ProtocolLog } from './protocol-log.ts';

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

/** PostgreSQL answers COMMIT of a failed transaction with the tag ROLLBACK. */
async function commitOn(connection: ServerConnection, first: readonly Statement[] = []): Promise<void> {
  const { tag } = await connection.pipeline([...first, { sql: 'COMMIT', parameters: [] }]);
  if (tag === 'ROLLBACK') throw hadFailed(connection);
}

interface Statement {
  readonly sql: string;
  readonly parameters: readonly string[];
}

function hadFailed({ target }: ServerConnection): PgError {
  return pgError('inFailedSqlTransaction', `the transaction on ${target.label} had failed and was rolled back`);
}

async function twoPhase(participants: readonly Participant[], host: CommitHost): Promise<void> {
  const name = host.nextTransactionName();
  const performer = new CommitPerformer(participants, name, host);
  const coordinator = participants.find((participant) => participant.site === 'coordinator');
  const nodes = participants.flatMap(({ site, written }) => (written && site !== 'coordinator' ? [site] : []));
  const part = coordinator === undefined ? 'absent' : coordinator.written ? 'writer' : 'reader';
  let outcome: CommitOutcome | null = null;
  const key = decisionKey(name);
  host.protocolLog.note(key, 'begin', `nodes ${nodes.join(', ')}${part === 'writer' ? ' and the coordinator' : ''}`);
  const perform = async (effect: Effect): Promise<Answer> => {
    host.protocolLog.noteAsked(key, effect);
    const answer = await performer.perform(effect);
    host.protocolLog.noteAnswer(key, effect, answer);
    return answer;
  };
  try {
    outcome = await runProtocol(commitProtocol({ name, nodes, coordinator: part }), perform);
    const unsettled =
      outcome.unsettled.length > 0 ? `, nodes ${outcome.unsettled.join(', ')} are left to recovery` : '';
    host.protocolLog.note(key, 'outcome', `${outcome.kind}${unsettled}`);
  } finally {
    // A fault of our own leaves it to recovery.
    performer.leaveFence(nodes);
    const error = pgError('internalError', 'the commit protocol was left');
    host.ended(name, outcome ?? { kind: 'unknown', error, unsettled: nodes });
  }
  host.log.debug(
    { gid: decisionKey(name), nodes, outcome: outcome.kind, unsettled: outcome.unsettled },
    'two-phase commit',
  );
  if (outcome.kind !== 'committed') throw outcome.error;
}

/** Does what the commit protocol asks for, on the transaction's own connections. */
class CommitPerformer {
  readonly #bySite: ReadonlyMap<Site, Participant>;
  readonly #name: TransactionName;
  readonly #host: CommitHost;
  #inFence = false;

  constructor(participants: readonly Participant[], name: TransactionName, host: CommitHost) {
    this.#bySite = new Map(participants.map((participant) => [participant.site, participant]));
    this.#name = name;
    this.#host = host;
  }

  async perform(effect: Effect): Promise<Answer> {
    const host = this.#host;
    switch (effect.kind) {
      case 'prepare':
        return answerTo(prepareOn(this.#connection(effect.node), effect.gid));
      case 'check constraints':
        return answerTo(this.#connection('coordinator').query('SET CONSTRAINTS ALL IMMEDIATE'));
      case 'enter fence':
        await host.fence.enterCommit();
        this.#inFence = true;
        return { kind: 'done' };
      case 'leave fence':
        if (effect.served) host.served([effect.key]);
        host.told(effect.key, effect.told);
        this.leaveFence(effect.untold);
        return { kind: 'done' };
      case 'decide':
        return this.#decide(effect.nodes, effect.apart);
      case 'ask':
        return askDecision(host.control(), effect.key);
      case 'finish': {
        const { node, gid, verb } = effect;
        if (!effect.anew) return finishPrepared(this.#connection(node), gid, verb);
        return host.onNode(node, (connection) => finishPrepared(connection, gid, verb)).catch(failure);
      }
      case 'end coordinator':
        await endAll([this.#bySite.get('coordinator')!], effect.verb);
        return { kind: 'done' };
      case 'end readers':
        await endAll(this.#readers(), effect.verb);
        return { kind: 'done' };
      case 'fence dead epochs':
      case 'list fenced decisions':
      case 'list prepared':
      case 'fence epoch':
      case 'forget':
        throw new Error(`${effect.kind} is of recovery`);
      default:
        return unreachable(effect);
    }
  }

  leaveFence(untold: readonly NodeId[]): void {
    if (!this.#inFence) return;
    const { fence } = this.#host;
    fence.markUnsettled(decisionKey(this.#name), untold);
    fence.leaveCommit();
    this.#inFence = false;
  }

  #decide(nodes: readonly NodeId[], apart: boolean): Promise<Answer> {
    const decision = decideSql(this.#name, nodes, this.#host.decisionProof(this.#name));
    if (apart) return answerTo(this.#host.control().query(decision.sql, decision.parameters));
    return answerTo(commitOn(this.#connection('coordinator'), [decision]));
  }

  #connection(site: Site): ServerConnection {
    return this.#bySite.get(site)!.connection;
  }

  #readers(): Participant[] {
    return [...this.#bySite.values()].filter(({ site, written }) => !written && site !== 'coordinator');
  }
}

async function prepareOn(connection: ServerConnection, gid: string): Promise<void> {
  const { tag } = await connection.query(`PREPARE TRANSACTION '${gid}'`);
  if (tag !== 'PREPARE TRANSACTION') throw hadFailed(connection);
}

/** Ends transactions that changed nothing that matters any more; a server that can't be told has ended them itself. */
async function endAll(participants: readonly Participant[], verb: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  await Promise.all(participants.map(({ connection }) => connection.query(verb).catch(() => connection.close())));
}
