import type { ServerConnection } from '../backend/server-connection.ts';
import { runForTag } from '../backend/tag-answer.ts';
import type { Site } from '../catalog/site.ts';
import type { NodeId } from '../catalog/snapshot.ts';
import { unreachable } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import { answerTo, failure, finishPrepared } from './answers.ts';
import type { CommitHost, Participant } from './commit.ts';
import { type CommitOutcome, commitProtocol } from './commit-protocol.ts';
import { askDecision, decideSql } from './decision-sql.ts';
import { commitOn, endAll, hadFailed } from './ends.ts';
import { decisionKey, type TransactionName } from './gid.ts';
import { type Answer, driveProtocol, type Effect } from './protocol.ts';

type Answered = (answer: Answer) => void;

/**
 * Commits what several servers have written: every node is prepared, then one row in `pgherd.transaction_decision` decides, then the nodes are told
 * (DESIGN 7). `ended` is called once, with null when it is committed; from the first message to there no promise is waited for unless something goes wrong.
 */
export function commitInTwoPhases(
  participants: readonly Participant[],
  host: CommitHost,
  ended: (error: unknown) => void,
): void {
  const name = host.nextTransactionName();
  const key = decisionKey(name);
  const performer = new CommitPerformer(participants, name, host);
  const coordinator = participants.find((participant) => participant.site === 'coordinator');
  const nodes = participants.flatMap(({ site, written }) => (written && site !== 'coordinator' ? [site] : []));
  const part = coordinator === undefined ? 'absent' : coordinator.written ? 'writer' : 'reader';
  const { protocolLog } = host;
  protocolLog.note(key, 'begin', `nodes ${nodes.join(', ')}${part === 'writer' ? ' and the coordinator' : ''}`);
  const over = (outcome: CommitOutcome, error: unknown) => {
    // A fault of our own leaves it to recovery.
    performer.leaveFence(nodes);
    host.ended(name, outcome);
    ended(error);
  };
  driveProtocol(
    commitProtocol({ name, nodes, coordinator: part }),
    (effect, answered) => {
      protocolLog.noteAsked(key, effect);
      performer.perform(effect, (answer) => {
        protocolLog.noteAnswer(key, effect, answer);
        answered(answer);
      });
    },
    {
      ended(outcome) {
        const { kind, unsettled } = outcome;
        const left = unsettled.length > 0 ? `, nodes ${unsettled.join(', ')} are left to recovery` : '';
        protocolLog.note(key, 'outcome', `${kind}${left}`);
        host.log.debug({ gid: key, nodes, outcome: kind, unsettled }, 'two-phase commit');
        over(outcome, outcome.kind === 'committed' ? null : outcome.error);
      },
      failed(fault) {
        const error = pgError('internalError', 'the commit protocol was left');
        over({ kind: 'unknown', error, unsettled: nodes }, fault);
      },
    },
  );
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

  perform(effect: Effect, answered: Answered): void {
    const host = this.#host;
    switch (effect.kind) {
      case 'prepare':
        prepareOn(this.#connection(effect.node), effect.gid, answered);
        return;
      case 'check constraints':
        when(answerTo(this.#connection('coordinator').query('SET CONSTRAINTS ALL IMMEDIATE')), answered);
        return;
      case 'enter fence':
        this.#enterFence(answered);
        return;
      case 'leave fence':
        if (effect.served) host.served([effect.key]);
        host.told(effect.key, effect.told);
        this.leaveFence(effect.untold);
        answered(done);
        return;
      case 'decide':
        this.#decide(effect.nodes, effect.apart, answered);
        return;
      case 'ask':
        when(askDecision(host.control(), effect.key), answered);
        return;
      case 'finish':
        this.#finish(effect, answered);
        return;
      case 'end coordinator':
        this.#end([this.#bySite.get('coordinator')!], effect.verb, answered);
        return;
      case 'end readers':
        this.#end(this.#readers(), effect.verb, answered);
        return;
      case 'fence dead epochs':
      case 'list fenced decisions':
      case 'list prepared':
      case 'fence epoch':
      case 'forget':
        throw new Error(`${effect.kind} is of recovery`);
      default:
        unreachable(effect);
    }
  }

  #enterFence(answered: Answered): void {
    const entered = () => {
      this.#inFence = true;
      answered(done);
    };
    if (this.#host.fence.startCommit(entered)) entered();
  }

  leaveFence(untold: readonly NodeId[]): void {
    if (!this.#inFence) return;
    const { fence } = this.#host;
    fence.markUnsettled(decisionKey(this.#name), untold);
    fence.leaveCommit();
    this.#inFence = false;
  }

  #decide(nodes: readonly NodeId[], apart: boolean, answered: Answered): void {
    if (apart) {
      this.#host.decideApart(this.#name, nodes, answered);
      return;
    }
    const decision = decideSql(this.#name, nodes, this.#host.decisionProof(this.#name));
    when(answerTo(commitOn(this.#connection('coordinator'), [decision])), answered);
  }

  #finish({ node, gid, verb, anew }: Extract<Effect, { kind: 'finish' }>, answered: Answered): void {
    const byAnother = () => this.#host.onNode(node, (connection) => finishPrepared(connection, gid, verb));
    if (anew) {
      when(byAnother(), answered);
      return;
    }
    const connection = this.#connection(node);
    runForTag(connection, `${verb} PREPARED '${gid}'`, (_, error) => {
      const answer = error === null ? done : failure(error);
      if (answer.kind === 'refused') when(finishPrepared(connection, gid, verb), answered);
      else answered(answer);
    });
  }

  #end(participants: readonly Participant[], verb: 'COMMIT' | 'ROLLBACK', answered: Answered): void {
    if (participants.length === 0) answered(done);
    else endAll(participants, verb).then(() => answered(done));
  }

  #connection(site: Site): ServerConnection {
    return this.#bySite.get(site)!.connection;
  }

  #readers(): Participant[] {
    return [...this.#bySite.values()].filter(({ site, written }) => !written && site !== 'coordinator');
  }
}

const done: Answer = { kind: 'done' };

/** What is seldom, or waits anyway. */
function when(work: Promise<Answer>, answered: Answered): void {
  work.catch(failure).then(answered);
}

function prepareOn(connection: ServerConnection, gid: string, answered: Answered): void {
  runForTag(connection, `PREPARE TRANSACTION '${gid}'`, (tag, error) => {
    if (error !== null) answered(failure(error));
    else answered(tag === 'PREPARE TRANSACTION' ? done : failure(hadFailed(connection)));
  });
}
