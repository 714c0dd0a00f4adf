import type { ServerConnection } from '../backend/server-connection.ts';
import type { NodeId } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { answerTo, finishPrepared, quoteText } from './answers.ts';
import type { CommitHost, Participant } from './commit.ts';
import type { Answer } from './protocol.ts';

/*
 * A client's own two-phase commit. Every server that wrote, and the coordinator in any case, holds the transaction under the client's
 * name. The coordinator is prepared last and finished last: what it does not have was never prepared as a whole.
 */

/** Prepares a transaction under the client's name, on all servers or none. It is over for the session either way. */
export async function prepareForClient(participants: readonly Participant[], gid: string): Promise<void> {
  const coordinator = participants.filter(({ site }) => site === 'coordinator');
  const writers = participants.filter(({ site, written }) => site !== 'coordinator' && written);
  const readers = participants.filter(({ site, written }) => site !== 'coordinator' && !written);
  const prepared: Participant[] = [];
  try {
    for (const group of [writers, coordinator]) {
      const answers = await Promise.all(group.map(({ connection }) => answerTo(prepareOn(connection, gid))));
      for (const [index, { kind }] of answers.entries()) if (kind !== 'refused') prepared.push(group[index]!);
      const failed = answers.find((answer) => answer.kind === 'refused' || answer.kind === 'lost');
      if (failed !== undefined && 'error' in failed) throw failed.error;
    }
  } catch (error) {
    await Promise.all(prepared.map(({ connection }) => finishPrepared(connection, gid, 'ROLLBACK')));
    await end(
      participants.filter((each) => !prepared.includes(each)),
      'ROLLBACK',
    );
    throw error;
  }
  await end(readers, 'COMMIT');
}

async function prepareOn(connection: ServerConnection, gid: string): Promise<void> {
  const { tag } = await connection.query(`PREPARE TRANSACTION ${quoteText(gid)}`);
  if (tag !== 'PREPARE TRANSACTION') {
    throw pgError('inFailedSqlTransaction', `the transaction on ${connection.target.label} had failed`);
  }
}

async function end(participants: readonly Participant[], verb: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  await Promise.all(participants.map(({ connection }) => connection.query(verb).catch(() => connection.close())));
}

export interface ClientPrepared {
  readonly gid: string;
  readonly onCoordinator: boolean;
  readonly nodes: readonly NodeId[];
  /** The client has said COMMIT PREPARED before, and some server could not be told. */
  readonly decided: boolean;
}

/** The key of its decision row. No router has epoch 0, so that recovery leaves it alone. */
export function clientKey(gid: string): string {
  return `pgherd:client:0:${gid}`;
}

/**
 * COMMIT PREPARED on all servers, inside the fence. `onSite` lends a connection in the client's role. The row that says so is written first:
 * from then on ROLLBACK PREPARED is refused, and COMMIT PREPARED can be repeated until all servers are told.
 */
export async function commitForClient(
  { gid, nodes }: ClientPrepared,
  host: CommitHost,
  onSite: (site: 'coordinator' | NodeId) => Promise<SqlRunner>,
): Promise<void> {
  const key = clientKey(gid);
  await host
    .control()
    .query(
      `INSERT INTO pgherd.transaction_decision (gid, decision, nodes) VALUES ($1, 'commit', $2::integer[]) ON CONFLICT DO NOTHING`,
      [key, `{${nodes.join(',')}}`],
    );
  await host.fence.enterCommit();
  let untold: NodeId[] = [...nodes];
  try {
    const answers = await Promise.all(nodes.map((node) => tell(gid, () => onSite(node))));
    untold = nodes.filter((_, index) => answers[index]!.kind !== 'done');
    const failed = answers.find((answer) => answer.kind === 'refused' || answer.kind === 'lost');
    if (failed !== undefined && 'error' in failed) throw failed.error;
    const last = await tell(gid, () => onSite('coordinator'));
    if (last.kind === 'refused' || last.kind === 'lost') throw last.error;
    host.served([key]);
  } finally {
    if (untold.length === 0) host.fence.markSettled([key]);
    else host.fence.markUnsettled(key, untold);
    host.fence.leaveCommit();
  }
}

async function tell(gid: string, runner: () => Promise<SqlRunner>): Promise<Answer> {
  let connection: SqlRunner;
  try {
    connection = await runner();
  } catch (error) {
    return answerTo(Promise.reject(error));
  }
  return finishPrepared(connection, gid, 'COMMIT');
}
