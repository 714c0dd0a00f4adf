import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { PgError, pgError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { Fence } from './fence.ts';
import { decisionKey, participantGid, type TransactionName } from './gid.ts';

export interface Participant {
  readonly site: Site;
  readonly connection: ServerConnection;
  readonly written: boolean;
}

export interface CommitHost {
  readonly log: Log;
  readonly fence: Fence;
  /** A name no other transaction of the cluster has had or will have. */
  nextTransactionName(): TransactionName;
  /** A connection to the coordinator of the router's own, outside any transaction: records and asks for decisions. */
  control(): SqlRunner;
  /** Every prepared participant of this transaction is settled: its decision row may be forgotten. */
  settled(name: TransactionName): void;
  /** Some participant could not be told: recovery has to finish it. */
  unsettled(name: TransactionName): void;
}

type Vote =
  | { readonly kind: 'prepared' }
  | { readonly kind: 'refused'; readonly error: PgError }
  /** The connection was lost: it may be prepared. */
  | { readonly kind: 'unknown'; readonly error: PgError };

/**
 * Ends a transaction on all its servers (DESIGN 7). With at most one writer its own COMMIT decides. With more, every node that
 * wrote is prepared, then one row in `pgherd.transaction_decision` decides, written by the coordinator as the last resource.
 */
export async function commitParticipants(
  participants: readonly Participant[],
  host: CommitHost,
  _signal: AbortSignal,
): Promise<void> {
  const writers = participants.filter((participant) => participant.written);
  const readers = participants.filter((participant) => !participant.written);
  const coordinator = participants.find((participant) => participant.site === 'coordinator');
  if (writers.length <= 1) {
    const [writer] = writers;
    if (writer !== undefined) await passOpenings(host.fence);
    await commitOne(writer ?? coordinator, participants);
    return;
  }
  await twoPhase(
    writers.filter((participant) => participant.site !== 'coordinator'),
    coordinator,
    readers.filter((participant) => participant.site !== 'coordinator'),
    host,
  );
}

/**
 * What one server commits by itself holds no fence, but is not sent while snapshots are being taken: a reader could see what was
 * built on it elsewhere, and not itself.
 */
export async function passOpenings(fence: Fence): Promise<void> {
  while (fence.opening) {
    await fence.enterCommit();
    fence.leaveCommit();
  }
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
async function commitPlainly(participant: Participant): Promise<void> {
  try {
    const result = await participant.connection.query('COMMIT');
    // PostgreSQL answers COMMIT of a failed transaction with the tag ROLLBACK.
    if (result.tag === 'ROLLBACK')
      throw pgError('inFailedSqlTransaction', 'the transaction had failed and was rolled back');
  } catch (error) {
    if (participant.connection.closed && participant.written && !isServerError(error)) {
      throw pgError(
        'transactionResolutionUnknown',
        `connection to ${participant.connection.target.label} was lost during COMMIT: the outcome is unknown`,
      );
    }
    throw error;
  }
}

async function twoPhase(
  nodes: readonly Participant[],
  coordinator: Participant | undefined,
  readers: readonly Participant[],
  host: CommitHost,
): Promise<void> {
  const name = host.nextTransactionName();
  const key = decisionKey(name);
  host.log.debug({ gid: key, nodes: nodes.map((node) => node.site) }, 'prepare');
  const votes = await Promise.all(nodes.map((node) => prepare(node, participantGid(name, node.site as number))));
  const refusal = votes.find((vote) => vote.kind !== 'prepared');
  host.log.debug({ gid: key, votes: votes.map((vote) => vote.kind) }, 'votes');
  if (refusal !== undefined) {
    await abortPrepared(nodes, votes, coordinator, readers, name, host);
    throw refusal.error;
  }
  await host.fence.enterCommit();
  try {
    await finishDecided(nodes, votes, coordinator, readers, name, host);
  } finally {
    host.fence.leaveCommit();
  }
}

/** From the decision to the last participant, under the fence: no snapshot is taken while some servers show the commit and others don't. */
async function finishDecided(
  nodes: readonly Participant[],
  votes: readonly Vote[],
  coordinator: Participant | undefined,
  readers: readonly Participant[],
  name: TransactionName,
  host: CommitHost,
): Promise<void> {
  const key = decisionKey(name);
  const decision = await decide(coordinator, name, host);
  host.log.debug({ gid: key, decision: decision.kind }, 'decision');
  switch (decision.kind) {
    case 'commit': {
      const told = await Promise.all(
        nodes.map((node) => tell(node, 'COMMIT', participantGid(name, node.site as number))),
      );
      await endAll(readers, 'COMMIT');
      if (told.every(Boolean)) host.settled(name);
      else host.unsettled(name);
      host.log.debug({ gid: key, settled: told.every(Boolean) }, 'committed');
      return;
    }
    case 'abort':
      await abortPrepared(nodes, votes, undefined, readers, name, host);
      throw decision.error;
    case 'unknown':
      await endAll(readers, 'ROLLBACK');
      host.unsettled(name);
      throw decision.error;
  }
}

async function prepare(node: Participant, gid: string): Promise<Vote> {
  try {
    const result = await node.connection.query(`PREPARE TRANSACTION '${gid}'`);
    if (result.tag === 'PREPARE TRANSACTION') return { kind: 'prepared' };
    return { kind: 'refused', error: pgError('inFailedSqlTransaction', `${node.connection.target.label} had failed`) };
  } catch (error) {
    const reason = error instanceof PgError ? error : pgError('internalError', String(error));
    return node.connection.closed ? { kind: 'unknown', error: reason } : { kind: 'refused', error: reason };
  }
}

type Decision =
  | { readonly kind: 'commit' }
  | { readonly kind: 'abort'; readonly error: PgError }
  | { readonly kind: 'unknown'; readonly error: PgError };

/**
 * Writes the row that decides. When the coordinator takes part, its own COMMIT carries the row; synchronous_commit is on for it
 * whatever the session says, since an acknowledged decision must survive a crash.
 */
async function decide(
  coordinator: Participant | undefined,
  name: TransactionName,
  host: CommitHost,
): Promise<Decision> {
  const key = decisionKey(name);
  const record = `SELECT pgherd.decide_commit('${key}', ${name.epoch})`;
  try {
    if (coordinator === undefined) await host.control().query(`SET synchronous_commit = on; ${record}`);
    else {
      await coordinator.connection.query(`SET LOCAL synchronous_commit = on; ${record}`);
      const result = await coordinator.connection.query('COMMIT');
      if (result.tag === 'ROLLBACK') {
        return {
          kind: 'abort',
          error: pgError('inFailedSqlTransaction', 'the transaction had failed and was rolled back'),
        };
      }
    }
    return { kind: 'commit' };
  } catch (error) {
    const reason = error instanceof PgError ? error : pgError('internalError', String(error));
    if (coordinator !== undefined && !coordinator.connection.closed) {
      await coordinator.connection.query('ROLLBACK').catch(() => coordinator.connection.close());
      return { kind: 'abort', error: reason };
    }
    return resolveLostDecision(key, reason, host);
  }
}

/** The answer to the decision was lost. Trying to record the opposite tells which one won: the primary key lets one through. */
async function resolveLostDecision(key: string, reason: PgError, host: CommitHost): Promise<Decision> {
  try {
    const result = await host.control().query(`SELECT pgherd.decide_abort('${key}')`);
    return result.rows[0]?.[0] === 'commit' ? { kind: 'commit' } : { kind: 'abort', error: reason };
  } catch {
    return {
      kind: 'unknown',
      error: pgError(
        'transactionResolutionUnknown',
        'the coordinator was lost while the transaction was being decided: the outcome is unknown',
        {
          detail: `Transaction ${key}: ${reason.message}`,
          hint: 'Recovery settles it as soon as the coordinator is back.',
        },
      ),
    };
  }
}

async function abortPrepared(
  nodes: readonly Participant[],
  votes: readonly Vote[],
  coordinator: Participant | undefined,
  readers: readonly Participant[],
  name: TransactionName,
  host: CommitHost,
): Promise<void> {
  const told = await Promise.all(
    nodes.map(async (node, index) => {
      const vote = votes[index]!;
      if (vote.kind === 'prepared') return tell(node, 'ROLLBACK', participantGid(name, node.site as number));
      return vote.kind === 'refused';
    }),
  );
  await endAll(coordinator === undefined ? readers : [coordinator, ...readers], 'ROLLBACK');
  if (told.every(Boolean)) host.settled(name);
  else host.unsettled(name);
}

/** COMMIT PREPARED or ROLLBACK PREPARED; false when the node could not be told and recovery has to. */
async function tell(node: Participant, verb: 'COMMIT' | 'ROLLBACK', gid: string): Promise<boolean> {
  try {
    await node.connection.query(`${verb} PREPARED '${gid}'`);
    return true;
  } catch {
    return false;
  }
}

/** Ends transactions that changed nothing that matters any more; a server that can't be told has ended them itself. */
async function endAll(participants: readonly Participant[], verb: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  await Promise.all(participants.map(({ connection }) => connection.query(verb).catch(() => connection.close())));
}

/** An answer of the server itself, as against a lost connection. */
function isServerError(error: unknown): boolean {
  return error instanceof PgError && !error.code.startsWith('08');
}
