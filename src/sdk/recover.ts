import { askDecision, ensureDecisionTable, forgetDecision, oldDecisions } from './decision-table.ts';
import { type Shard, withConnection } from './shard-server.ts';
import { gidPrefix, parseGid, type TransactionGid } from './transaction-gid.ts';
import { finishPrepared } from './two-phase-commit.ts';

export interface RecoveryOutcome {
  readonly committed: number;
  readonly rolledBack: number;
  /** Prepared, and their home shard, or they themselves, could not be reached. */
  readonly left: number;
  readonly unreachable: readonly number[];
}

export interface RecoveryOptions {
  /** Younger ones may be under way; their decision would be "abort". */
  readonly olderThanMs: number;
}

interface Prepared extends TransactionGid {
  readonly gid: string;
}

/**
 * Settles what is prepared and whose maker is gone: by the decision of its home shard, where recording 'abort' either wins or tells that
 * the commit was decided. Safe at any time and in any number of processes.
 */
export async function recoverTransactions(
  shards: readonly Shard[],
  name: string,
  { olderThanMs }: RecoveryOptions,
): Promise<RecoveryOutcome> {
  // Read before what is prepared is listed: so a decision whose participants then show nothing has served.
  const old = await Promise.all(shards.map((shard) => listOld(shard, name)));
  const lists = await Promise.all(shards.map((shard) => listPrepared(shard, name)));
  const unreachable = shards.filter((_, i) => lists[i] === null).map(({ id }) => id);
  const count = { commit: 0, abort: 0, left: 0 };
  const pending = new Set<string>();
  for (const prepared of lists.flatMap((list) => list ?? [])) {
    const outcome = prepared.ageMs < olderThanMs ? 'left' : await settle(shards, prepared);
    count[outcome] += 1;
    if (outcome === 'left') pending.add(prepared.decision);
  }
  for (const [i, decisions] of old.entries()) {
    const served = decisions.filter(
      ({ gid, participants }) =>
        !pending.has(gid) && !participants.some((each) => unreachable.includes(each) || each >= shards.length),
    );
    await Promise.all(
      served.map(({ gid }) => withConnection(shards[i]!.primary, (on) => forgetDecision(on, gid)).catch(() => {})),
    );
  }
  return { committed: count.commit, rolledBack: count.abort, left: count.left, unreachable };
}

async function listOld(shard: Shard, name: string) {
  try {
    await ensureDecisionTable(shard.primary);
    return await withConnection(shard.primary, (connection) => oldDecisions(connection, gidPrefix(name)));
  } catch {
    return [];
  }
}

/** Null: the shard can't be reached. */
async function listPrepared(shard: Shard, name: string): Promise<(Prepared & { readonly ageMs: number })[] | null> {
  const sql = `SELECT gid, (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint FROM pg_prepared_xacts
    WHERE database = current_database() AND starts_with(gid, $1)`;
  try {
    const { rows } = await withConnection(shard.primary, (connection) => connection.query(sql, [gidPrefix(name)]));
    return rows.flatMap(([gid, ageMs]) => {
      const parsed = parseGid(gid!, name);
      // Another shard of the same database lists it too.
      return parsed?.participant === shard.id ? [{ ...parsed, gid: gid!, ageMs: Number(ageMs) }] : [];
    });
  } catch {
    return null;
  }
}

async function settle(
  shards: readonly Shard[],
  { gid, home, decision, participant }: Prepared,
): Promise<'commit' | 'abort' | 'left'> {
  const homeShard = shards[home];
  if (homeShard === undefined) return 'left';
  try {
    const outcome = await withConnection(homeShard.primary, (connection) => askDecision(connection, decision));
    const verb = outcome === 'commit' ? 'COMMIT' : 'ROLLBACK';
    await withConnection(shards[participant]!.primary, (connection) => finishPrepared(connection, gid, verb));
    return outcome;
  } catch {
    // "I do not know" is never "no".
    return 'left';
  }
}
