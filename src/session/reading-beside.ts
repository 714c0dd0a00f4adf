import type { Site } from '../catalog/site.ts';
import { assert } from '../core/assert.ts';
import { PgError } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import { type ClientOutput, PassingOutput } from '../execute/client-output.ts';
import type { ExecutionContext } from '../execute/context.ts';
import { NotStageable } from '../execute/stage-rows.ts';
import type { Plan } from '../plan/plan.ts';
import { BesideTransaction } from '../transaction/beside-transaction.ts';
import type { TransactionHost } from '../transaction/distributed-transaction.ts';
import type { SessionState } from './session-state.ts';

/** A lock that stands in the way may be waited for by somebody who waits for the session's own transaction. Milliseconds. */
const maxLockWaitMs = 500;

/**
 * Runs a plan's steps in the session's transaction, or in one beside it where the plan says so. What beside can't have, a connection or a
 * lock, the session's transaction may have already: then it is to be gathered there.
 */
export async function withSnapshots<T>(
  session: SessionState,
  { plan, context, output }: { readonly plan: Plan; readonly context: ExecutionContext; readonly output: ClientOutput },
  run: (context: ExecutionContext, output: ClientOutput) => Promise<T>,
): Promise<T> {
  if (plan.beside === undefined) return run(context, output);
  assert(!plan.writes, 'what is done beside the session’s transaction would not end with it');
  const transaction = await open(session, plan.beside.readsCoordinator);
  const watched = new WatchedOutput(output);
  try {
    const result = await run({ ...context, transaction }, watched);
    await transaction.end('COMMIT');
    return result;
  } catch (error) {
    await transaction.end('ROLLBACK');
    const isLocked = error instanceof PgError && error.code === conditions.lockNotAvailable;
    throw isLocked && !watched.hasAnswered ? new NotStageable(error.message) : error;
  }
}

/** Whether something of the answer has gone out. */
class WatchedOutput extends PassingOutput {
  hasAnswered = false;

  override describe(frame: Buffer): void {
    this.hasAnswered = true;
    super.describe(frame);
  }

  override row(frame: Buffer): void {
    this.hasAnswered = true;
    super.row(frame);
  }

  override pass(frame: Buffer): void {
    this.hasAnswered = true;
    super.pass(frame);
  }

  override complete(tag: string): void {
    this.output.complete(tag);
  }
}

async function open(session: SessionState, readsCoordinator: boolean): Promise<BesideTransaction> {
  const { transaction: outer, signal } = session;
  const settings = [...outer.localSettings];
  const isLimited = outer.settings.values.has('lock_timeout') || settings.some((sql) => /lock_timeout/i.test(sql));
  if (!isLimited) settings.push(`SET LOCAL lock_timeout = ${maxLockWaitMs}`);
  try {
    return await BesideTransaction.open(besideHost(session), { outer, readsCoordinator, settings }, signal);
  } catch (error) {
    const isCrowded = error instanceof PgError && error.code.startsWith(insufficientResources);
    throw isCrowded ? new NotStageable(error.message) : error;
  }
}

/** The SQLSTATE class of too many connections. */
const insufficientResources = '53';

/** Connections besides the session's. To wait for one that others hold who wait as well would lead nowhere. */
function besideHost(session: SessionState): TransactionHost {
  const { services, identity, catalog } = session;
  const poolOf = (site: Site) => services.pool(site, identity, catalog);
  return {
    ...session.transactionHost(),
    async acquire(site, signal) {
      const pool = poolOf(site);
      if (!pool.hasRoom) throw new NotStageable('no connection is free for a transaction beside');
      return pool.acquire(signal);
    },
    release: (site, connection) => poolOf(site).release(connection),
    coordinatorPinned: () => false,
    attached: () => {},
  };
}
