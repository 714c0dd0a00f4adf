import type { NodeId } from '../catalog/snapshot.ts';
import { decisionKey, parseParticipantGid, type TransactionName } from './gid.ts';
import type { Answer, Effect, Protocol } from './protocol.ts';

/** What a sweep starts from, taken before any server is asked. */
export interface RecoveryScope {
  readonly clusterId: string;
  readonly nodes: readonly NodeId[];
  /** A name of this router's own, of a transaction that its session has given up: neither under way nor begun since. */
  leftOver(name: TransactionName): boolean;
  isOwn(name: TransactionName): boolean;
  /** Keys of transactions of this router whose nodes were not all told. */
  readonly unsettled: readonly string[];
}

export interface RecoveryOutcome {
  readonly committed: number;
  readonly rolledBack: number;
  /** Prepared transactions left as they are: their router lives, or the decision could not be learnt, or the node not told. */
  readonly left: number;
  readonly unreachable: readonly NodeId[];
  /** The coordinator answered, so that dead routers are fenced. */
  readonly complete: boolean;
  /** Keys of which no node holds anything any more. */
  readonly settled: readonly string[];
  /** Commits of dead routers, with the nodes that may not show them yet. */
  readonly owed: readonly { readonly key: string; readonly nodes: readonly NodeId[] }[];
}

interface Participant {
  readonly node: NodeId;
  readonly gid: string;
}

/**
 * Settles what is prepared and whose session is gone: of this router, and of routers that are dead. A dead router's epoch is fenced
 * first, so that it can't decide any more should it only have been slow. Then, for each transaction, recording 'abort' either wins or
 * tells that the commit was decided.
 */
export function* recoveryProtocol(scope: RecoveryScope): Protocol<RecoveryOutcome> {
  const [fenced] = yield [{ kind: 'fence dead epochs' }];
  // Read before the nodes are: a decision that comes later may have been prepared after its node was listed.
  const [old] = yield [{ kind: 'list fenced decisions' }];
  const lists = yield scope.nodes.map((node): Effect => ({ kind: 'list prepared', node }));
  const unreachable = scope.nodes.filter((_, index) => lists[index]!.kind !== 'listed');
  const transactions = participantsByKey(scope, lists);
  const count = { commit: 0, abort: 0, left: 0 };
  const held = new Map<string, readonly NodeId[]>();
  const dead = new Map<number, boolean>();
  for (const [key, { name, participants }] of transactions) {
    const settled = (yield* isOrphan(scope, name, dead)) ? yield* settle(key, participants) : null;
    if (settled === null) {
      held.set(
        key,
        participants.map(({ node }) => node),
      );
      count.left += participants.length;
    } else count[settled] += participants.length;
  }
  const decisions = old?.kind === 'decisions' ? old.decisions : [];
  const isGone = (key: string) => unreachable.length === 0 && !held.has(key);
  const settled = [...decisions.map(({ key }) => key), ...scope.unsettled].filter(isGone);
  if (settled.length > 0) yield [{ kind: 'forget', keys: settled }];
  const owed = decisions.flatMap(({ key, decision, nodes }) => {
    const owing = nodes.filter((node) => unreachable.includes(node) || held.get(key)?.includes(node));
    return decision === 'commit' && owing.length > 0 ? [{ key, nodes: owing }] : [];
  });
  const complete = fenced?.kind === 'done' && old?.kind === 'decisions';
  return { committed: count.commit, rolledBack: count.abort, left: count.left, unreachable, complete, settled, owed };
}

function participantsByKey(
  scope: RecoveryScope,
  lists: readonly Answer[],
): Map<string, { readonly name: TransactionName; readonly participants: Participant[] }> {
  const byKey = new Map<string, { name: TransactionName; participants: Participant[] }>();
  for (const [index, list] of lists.entries()) {
    for (const gid of list.kind === 'listed' ? list.names : []) {
      const parsed = parseParticipantGid(gid, scope.clusterId);
      if (parsed === null) continue;
      const key = decisionKey(parsed.name);
      const known = byKey.get(key) ?? { name: parsed.name, participants: [] };
      known.participants.push({ node: scope.nodes[index]!, gid });
      byKey.set(key, known);
    }
  }
  return byKey;
}

function* isOrphan(scope: RecoveryScope, name: TransactionName, dead: Map<number, boolean>): Protocol<boolean> {
  if (scope.isOwn(name)) return scope.leftOver(name);
  let known = dead.get(name.epoch);
  if (known === undefined) {
    const [answer] = yield [{ kind: 'fence epoch', epoch: name.epoch }];
    known = answer?.kind === 'epoch' && answer.dead;
    dead.set(name.epoch, known);
  }
  return known;
}

/** Null: it stays in doubt, for the next sweep. The nodes are told inside the fence, so that no snapshot falls between them. */
function* settle(key: string, participants: readonly Participant[]): Protocol<'commit' | 'abort' | null> {
  const [asked] = yield [{ kind: 'ask', key }];
  // "I do not know" is never "no".
  if (asked?.kind !== 'decided') return null;
  const verb = asked.decision === 'commit' ? 'COMMIT' : 'ROLLBACK';
  yield [{ kind: 'enter fence' }];
  const answers = yield participants.map(({ node, gid }): Effect => ({ kind: 'finish', node, gid, verb, anew: true }));
  const nodes = participants.map(({ node }) => node);
  const untold = nodes.filter((_, index) => answers[index]!.kind !== 'done');
  const told = verb === 'COMMIT' ? nodes.filter((node) => !untold.includes(node)) : [];
  yield [{ kind: 'leave fence', key, told, untold: verb === 'COMMIT' ? untold : [], served: false }];
  return untold.length === 0 ? asked.decision : null;
}
