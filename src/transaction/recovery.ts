import type { NodeId } from '../catalog/snapshot.ts';
import { unreachable } from '../core/assert.ts';
import type { Log } from '../core/log.ts';
import type { SqlRunner } from '../core/runner.ts';
import { answerTo, failure, finishPrepared } from './answers.ts';
import { askDecision } from './decision-sql.ts';
import type { Fence } from './fence.ts';
import { epochLockClass } from './gid.ts';
import { type Answer, type Effect, runProtocol } from './protocol.ts';
import { type RecoveryOutcome, type RecoveryScope, recoveryProtocol } from './recovery-protocol.ts';

export interface RecoveryHost extends RecoveryScope {
  readonly log: Log;
  readonly fence: Fence;
  /** Their decision rows may be forgotten. */
  served(keys: readonly string[]): void;
  /** They need not name these nodes any more. */
  told(key: string, nodes: readonly NodeId[]): void;
  /** The coordinator, outside any transaction, as the router's own role. */
  control(): SqlRunner;
  /** One connection to a node, outside any transaction, as the router's own role. */
  onNode<T>(node: NodeId, work: (connection: SqlRunner) => Promise<T>): Promise<T>;
}

/** Registers this router and takes the lock that says it lives; both end with the control connection. */
export async function registerEpoch(control: SqlRunner): Promise<number> {
  // The row is seen by others when the lock is held: they would take the router for dead otherwise.
  const { rows } = await control.query(
    `WITH registered AS (INSERT INTO pgherd.router_epoch DEFAULT VALUES RETURNING epoch)
     SELECT epoch, pg_advisory_lock(${epochLockClass}, epoch::integer) FROM registered`,
  );
  return Number(rows[0]![0]);
}

/** One sweep over all nodes. */
export async function recover(host: RecoveryHost): Promise<RecoveryOutcome> {
  const performer = new RecoveryPerformer(host);
  try {
    return await runProtocol(recoveryProtocol(host), (effect) => performer.perform(effect));
  } finally {
    performer.leaveFence();
  }
}

/** Does what the recovery protocol asks for. */
class RecoveryPerformer {
  readonly #host: RecoveryHost;
  #inFence = false;

  constructor(host: RecoveryHost) {
    this.#host = host;
  }

  async perform(effect: Effect): Promise<Answer> {
    const { fence, log } = this.#host;
    const control = this.#host.control();
    switch (effect.kind) {
      case 'list fenced decisions':
        return fencedDecisions(control);
      case 'list prepared': {
        const answer = await this.#host.onNode(effect.node, (node) => listed(node.query(preparedSql))).catch(failure);
        if (answer.kind !== 'listed')
          log.warn({ node: effect.node, ...reason(answer) }, 'recovery could not ask a node');
        return answer;
      }
      case 'fence dead epochs':
        return answerTo(control.query(fenceDeadSql));
      case 'fence epoch':
        return control
          .query('SELECT pgherd.fence_epoch($1::bigint)', [String(effect.epoch)])
          .then(({ rows }): Answer => ({ kind: 'epoch', dead: rows[0]?.[0] === 't' }), failure);
      case 'ask':
        return askDecision(control, effect.key);
      case 'enter fence':
        await fence.enterCommit();
        this.#inFence = true;
        return { kind: 'done' };
      case 'leave fence':
        fence.markTold(effect.key, effect.told);
        this.#host.told(effect.key, effect.told);
        fence.markUnsettled(effect.key, effect.untold);
        this.leaveFence();
        return { kind: 'done' };
      case 'finish': {
        const { node, gid, verb } = effect;
        const answer = await this.#host.onNode(node, (runner) => finishPrepared(runner, gid, verb)).catch(failure);
        log.info({ gid, verb, answer: answer.kind, ...reason(answer) }, 'recovery of a prepared transaction');
        return answer;
      }
      case 'forget':
        this.#host.served(effect.keys);
        return { kind: 'done' };
      case 'prepare':
      case 'check constraints':
      case 'decide':
      case 'end coordinator':
      case 'end readers':
        throw new Error(`${effect.kind} is of commits`);
      default:
        return unreachable(effect);
    }
  }

  leaveFence(): void {
    if (this.#inFence) this.#host.fence.leaveCommit();
    this.#inFence = false;
  }
}

/** This router's own is held, as every living one. */
const fenceDeadSql = 'SELECT pgherd.fence_epoch(epoch) FROM pgherd.router_epoch WHERE NOT fenced';

const preparedSql = 'SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()';

async function fencedDecisions(control: SqlRunner): Promise<Answer> {
  try {
    const { rows } = await control.query(`SELECT d.gid, d.decision, array_to_string(d.nodes, ',')
      FROM pgherd.transaction_decision d JOIN pgherd.router_epoch e ON e.epoch = split_part(d.gid, ':', 3)::bigint
     WHERE e.fenced`);
    const decisions = rows.map(([key, decision, nodes]) => ({
      key: key!,
      decision: decision === 'commit' ? ('commit' as const) : ('abort' as const),
      nodes: (nodes ?? '').split(',').filter(Boolean).map(Number),
    }));
    return { kind: 'decisions', decisions };
  } catch (error) {
    return failure(error);
  }
}

async function listed(work: Promise<{ rows: readonly (readonly (string | null)[])[] }>): Promise<Answer> {
  try {
    return { kind: 'listed', names: (await work).rows.map((row) => row[0]!) };
  } catch (error) {
    return failure(error);
  }
}

function reason(answer: Answer): { error?: string } {
  return answer.kind === 'refused' || answer.kind === 'lost' ? { error: answer.error.message } : {};
}
