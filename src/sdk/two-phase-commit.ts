import { unreachable } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import { askDecision, forgetDecision, recordCommit } from './decision-table.ts';
import { asPgError } from './shard-failures.ts';
import { endPart, type PartEnd, type ShardPart } from './shard-part.ts';
import { type Shard, withConnection } from './shard-server.ts';
import type { TimeLimit } from './time-limit.ts';
import { participantGid } from './transaction-gid.ts';

/** A step of a distributed commit that has been taken: for logs. */
export type CommitStep =
  | { readonly kind: 'prepared'; readonly gid: string; readonly shards: readonly number[] }
  | { readonly kind: 'decided'; readonly gid: string; readonly outcome: 'commit' | 'abort' }
  /** The outcome stands; `recover` tells these shards. */
  | { readonly kind: 'untold'; readonly gid: string; readonly shards: readonly number[] };

export interface CommitContext {
  /** Of the decision. */
  readonly gid: string;
  readonly limit: TimeLimit;
  onStep(step: CommitStep): void | Promise<void>;
}

type Verb = 'COMMIT' | 'ROLLBACK';

/**
 * Commits all parts or none. Every part but the home's is prepared; the home's own COMMIT, with the decision's row in it, decides; then
 * the others are told. Rejects with what made it roll back, or with 08007 when nobody can tell: recovery will.
 */
export async function commitParts(
  home: ShardPart,
  others: readonly ShardPart[],
  context: CommitContext,
): Promise<void> {
  const { gid, limit, onStep } = context;
  const shards = others.map(({ shard }) => shard.id);
  const prepare = (part: ShardPart) =>
    endPart(part, `PREPARE TRANSACTION '${participantGid(gid, part.shard.id)}'`, limit);
  const votes = await Promise.all(others.map(prepare));
  const refusal = votes.find((vote) => vote.kind !== 'done');
  if (refusal !== undefined)
    return rollBack(
      home,
      others.filter((_, i) => votes[i]!.kind !== 'refused'),
      { ...context, refusal },
    );
  await onStep({ kind: 'prepared', gid, shards });
  const decision = await decide(home, shards, context);
  switch (decision.kind) {
    case 'refused':
      return rollBack(home, others, { ...context, refusal: decision });
    case 'lost':
      throw unknownOutcome(gid, decision.error);
    case 'done':
      await onStep({ kind: 'decided', gid, outcome: 'commit' });
      return tell(home.shard, others, { ...context, verb: 'COMMIT' });
    default:
      return unreachable(decision);
  }
}

/** Lost here means that the home shard can't be asked either. */
async function decide(home: ShardPart, shards: readonly number[], { gid, limit }: CommitContext): Promise<PartEnd> {
  try {
    await recordCommit(home.connection, gid, shards);
  } catch (error) {
    if (!home.connection.closed) return { kind: 'refused', error };
  }
  const end = await endPart(home, 'COMMIT', limit);
  if (end.kind !== 'lost') return end;
  try {
    const outcome = await withConnection(home.shard.primary, (connection) => askDecision(connection, gid));
    return outcome === 'commit' ? { kind: 'done' } : { kind: 'refused', error: end.error };
  } catch {
    return end;
  }
}

async function rollBack(
  home: ShardPart,
  prepared: readonly ShardPart[],
  context: CommitContext & { readonly refusal: Exclude<PartEnd, { kind: 'done' }> },
): Promise<never> {
  await context.onStep({ kind: 'decided', gid: context.gid, outcome: 'abort' });
  if (!home.connection.closed && home.connection.transactionStatus !== 'I') {
    await home.connection.query('ROLLBACK').catch(() => {});
  }
  await tell(home.shard, prepared, { ...context, verb: 'ROLLBACK' });
  throw context.refusal.error;
}

/** On the part's own connection, then on a new one. The decision is forgotten when nobody will ask for it any more. */
async function tell(
  home: Shard,
  parts: readonly ShardPart[],
  { gid, verb, onStep }: CommitContext & { readonly verb: Verb },
): Promise<void> {
  const told = await Promise.all(parts.map((part) => tellPart(part, participantGid(gid, part.shard.id), verb)));
  const untold = parts.filter((_, i) => !told[i]).map(({ shard }) => shard.id);
  if (untold.length > 0) await onStep({ kind: 'untold', gid, shards: untold });
  // Left behind, it is removed by recovery.
  else if (verb === 'COMMIT') {
    await withConnection(home.primary, (connection) => forgetDecision(connection, gid)).catch(() => {});
  }
}

async function tellPart({ shard, connection }: ShardPart, gid: string, verb: Verb): Promise<boolean> {
  const finish = (on: typeof connection) => finishPrepared(on, gid, verb);
  if (!connection.closed && (await finish(connection).catch(() => false))) return true;
  return withConnection(shard.primary, finish).catch(() => false);
}

/** True: the prepared transaction is no more. Somebody else may have finished it. */
export async function finishPrepared(
  connection: Pick<ShardPart['connection'], 'query'>,
  gid: string,
  verb: Verb,
): Promise<true> {
  try {
    await connection.query(`${verb} PREPARED '${gid}'`);
  } catch (error) {
    if (asPgError(error).code !== '42704') throw error;
  }
  return true;
}

function unknownOutcome(gid: string, error: unknown) {
  return pgError('transactionResolutionUnknown', 'the home shard was lost while the transaction was being decided', {
    detail: `Transaction ${gid}: ${asPgError(error).message}`,
    hint: 'Its outcome is unknown until the shard is back; recover() settles it then.',
  });
}
