import type { NodeId } from '../catalog/snapshot.ts';
import type { Log } from '../core/log.ts';
import type { SqlRunner } from '../core/runner.ts';
import { decisionKey, parseParticipantGid, type TransactionName } from './gid.ts';

/** The advisory lock class under which a living router holds its epoch, on its control connection. */
export const epochLockClass = 0x70676864;

export interface RecoveryHost {
  readonly log: Log;
  readonly clusterId: string;
  readonly epoch: number;
  /** The coordinator, outside any transaction. */
  control(): SqlRunner;
  nodes(): readonly { readonly id: NodeId; readonly name: string }[];
  /** Runs SQL on a node outside any transaction, as the router's own role. */
  onNode(id: NodeId): Promise<SqlRunner>;
  /** A transaction of this router that is still being committed by its session. */
  inFlight(name: TransactionName): boolean;
}

export interface RecoveryOutcome {
  readonly committed: number;
  readonly rolledBack: number;
  /** Prepared transactions left as they are: their router lives. */
  readonly left: number;
  /** Nodes that could not be asked. */
  readonly unreachable: readonly string[];
}

/** Registers this router and takes the lock that says it lives; both end with the control connection. */
export async function registerEpoch(control: SqlRunner): Promise<number> {
  const result = await control.query('INSERT INTO pgherd.router_epoch DEFAULT VALUES RETURNING epoch');
  const epoch = Number(result.rows[0]![0]);
  await control.query(`SELECT pg_advisory_lock(${epochLockClass}, ${epoch})`);
  return epoch;
}

/**
 * Settles what dead routers left prepared. A router is dead when nobody holds its epoch's lock; its epoch is fenced first, so that
 * it can't decide any more should it only have been slow. Then, for each gid, recording 'abort' either wins or tells that the
 * commit was decided.
 */
export async function recover(host: RecoveryHost): Promise<RecoveryOutcome> {
  const outcome = { committed: 0, rolledBack: 0, left: 0, unreachable: [] as string[] };
  const fenced = new Map<number, boolean>();
  const stillPrepared = new Set<string>();
  for (const node of host.nodes()) {
    let runner: SqlRunner;
    let gids: string[];
    try {
      runner = await host.onNode(node.id);
      gids = await preparedGids(runner);
    } catch (error) {
      outcome.unreachable.push(node.name);
      host.log.warn({ node: node.name, error: String(error) }, 'recovery could not ask a node');
      continue;
    }
    for (const gid of gids) {
      const parsed = parseParticipantGid(gid, host.clusterId);
      if (parsed === null) continue;
      const settled = await settle(host, runner, gid, parsed.name, fenced);
      if (settled === 'left') {
        outcome.left += 1;
        stillPrepared.add(decisionKey(parsed.name));
      } else outcome[settled === 'commit' ? 'committed' : 'rolledBack'] += 1;
    }
  }
  if (outcome.unreachable.length === 0) await forgetDecisions(host, stillPrepared);
  return outcome;
}

async function preparedGids(runner: SqlRunner): Promise<string[]> {
  const result = await runner.query('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()');
  return result.rows.map((row) => row[0]!);
}

async function settle(
  host: RecoveryHost,
  node: SqlRunner,
  gid: string,
  name: TransactionName,
  fenced: Map<number, boolean>,
): Promise<'commit' | 'abort' | 'left'> {
  if (name.epoch === host.epoch) {
    if (host.inFlight(name)) return 'left';
  } else {
    let dead = fenced.get(name.epoch);
    if (dead === undefined) {
      dead = await fenceIfDead(host.control(), name.epoch);
      fenced.set(name.epoch, dead);
    }
    if (!dead) return 'left';
  }
  const decided = await host.control().query(`SELECT pgherd.decide_abort('${decisionKey(name)}')`);
  const decision = decided.rows[0]![0] === 'commit' ? 'commit' : 'abort';
  await node.query(`${decision === 'commit' ? 'COMMIT' : 'ROLLBACK'} PREPARED '${gid}'`);
  host.log.info({ gid, decision }, 'recovered a prepared transaction');
  return decision;
}

/** True when the epoch's router is dead; it is fenced then. */
async function fenceIfDead(control: SqlRunner, epoch: number): Promise<boolean> {
  const lock = await control.query(`SELECT pg_try_advisory_lock(${epochLockClass}, ${epoch})`);
  if (lock.rows[0]![0] !== 't') return false;
  try {
    await control.query(`UPDATE pgherd.router_epoch SET fenced = true WHERE epoch = ${epoch}`);
    return true;
  } finally {
    await control.query(`SELECT pg_advisory_unlock(${epochLockClass}, ${epoch})`);
  }
}

/** Decisions of fenced epochs that no server can still ask for: every node was listed and none holds such a gid. */
async function forgetDecisions(host: RecoveryHost, stillPrepared: ReadonlySet<string>): Promise<void> {
  const control = host.control();
  const result = await control.query(
    `SELECT d.gid FROM pgherd.transaction_decision d
       JOIN pgherd.router_epoch e ON e.epoch = split_part(d.gid, ':', 3)::bigint
      WHERE e.fenced`,
  );
  const forgotten = result.rows.map((row) => row[0]!).filter((gid) => !stillPrepared.has(gid));
  if (forgotten.length === 0) return;
  await control.query('DELETE FROM pgherd.transaction_decision WHERE gid = ANY($1::text[])', [toArray(forgotten)]);
}

function toArray(values: readonly string[]): string {
  return `{${values.map((value) => JSON.stringify(value)).join(',')}}`;
}
