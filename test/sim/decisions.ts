import { decisionKey } from '../../src/transaction/gid.ts';
import type { Answer, Effect } from '../../src/transaction/protocol.ts';
import type { EndedDecisions } from '../../src/transaction/transaction-book.ts';
import { atSite, done, lostAnswer, type Reply, type RouterParts, refusal } from './router-parts.ts';
import type { Bug } from './sabotage.ts';
import type { SimConnection, SimServer } from './servers.ts';

/* What routers make servers do: on the coordinator with decision rows and epochs, on nodes with prepared transactions. */

export function prepareOn(connection: SimConnection, gid: string): Answer {
  if (connection.transaction === 0) return refusal;
  connection.server.prepared.set(gid, connection.transaction);
  connection.transaction = 0;
  return done;
}

/** `bit`: what the coordinator's own transaction has written; 0: nothing. */
export function decideOn(
  connection: SimConnection,
  effect: Extract<Effect, { kind: 'decide' }>,
  bit: number,
  bug: Bug | null,
): Answer {
  const { decisions, epochs } = connection.server;
  const key = decisionKey(effect.name);
  if (bit !== 0 && connection.transaction === 0) return refusal;
  connection.transaction = 0;
  if (epochs.get(effect.name.epoch)!.fenced || decisions.has(key)) return refusal;
  if (bug !== 'decision row skipped') decisions.set(key, { decision: 'commit', nodes: effect.nodes });
  connection.server.visible |= bit;
  return done;
}

/** Who finds no decision decides to abort. */
export function askDecision(parts: RouterParts, key: string, answer: Reply): void {
  const doubtful = parts.bug === 'unanswered question taken for an abort';
  atSite(
    parts,
    0,
    ({ decisions }) => {
      const known = decisions.get(key);
      if (known === undefined && parts.bug !== 'abort not recorded') {
        decisions.set(key, { decision: 'abort', nodes: [] });
      }
      return { kind: 'decided', decision: known?.decision ?? 'abort' };
    },
    (result) => answer(doubtful && result.kind === 'lost' ? { kind: 'decided', decision: 'abort' } : result),
  );
}

/** COMMIT PREPARED or ROLLBACK PREPARED. */
export function finishOn(
  connection: SimConnection,
  { gid, verb }: { readonly gid: string; readonly verb: 'COMMIT' | 'ROLLBACK' },
  answer: Reply,
): void {
  connection.send(
    () => {
      const { prepared } = connection.server;
      if (verb === 'COMMIT') connection.server.visible |= prepared.get(gid) ?? 0;
      prepared.delete(gid);
      return done;
    },
    answer,
    () => answer(lostAnswer),
  );
}

/** True: its router is dead, and will decide nothing more. */
export function fenceEpoch({ epochs }: SimServer, number: number, bug: Bug | null): boolean {
  const epoch = epochs.get(number)!;
  if (epoch.fenced) return true;
  if (bug === 'living routers taken for dead') return true;
  if (epoch.holder !== null) return false;
  if (bug !== 'dead epochs not fenced') epoch.fenced = true;
  return true;
}

export function fencedDecisions({ decisions, epochs }: SimServer, bug: Bug | null): Answer {
  const read = () =>
    [...decisions].flatMap(([key, row]) => (epochs.get(epochOf(key))!.fenced ? [{ key, ...row }] : []));
  if (bug !== 'fenced decisions read after the nodes') return { kind: 'decisions', decisions: read() };
  return {
    kind: 'decisions',
    get decisions() {
      return read();
    },
  };
}

/** Decision rows hear which nodes need not be told any more, and which of them may be forgotten. */
export function tellDecisionsAt({ decisions, epochs }: SimServer, { served, told }: EndedDecisions, bug: Bug | null) {
  for (const [key, nodes] of told) {
    const row = decisions.get(key);
    if (row !== undefined) decisions.set(key, { ...row, nodes: row.nodes.filter((node) => !nodes.includes(node)) });
  }
  for (const key of served) {
    const living = !epochs.get(epochOf(key))!.fenced && bug !== 'abort forgotten while its router lives';
    if (decisions.get(key)?.decision === 'commit' || !living) decisions.delete(key);
  }
}

/** Apart from any lock: among several routers that is a bug. */
export function tellDecisions(parts: RouterParts): void {
  const { book, bug } = parts;
  if (!book.hasEnded) return;
  const ended = book.takeEnded();
  atSite(
    parts,
    0,
    (coordinator) => {
      tellDecisionsAt(coordinator, ended, bug);
      return done;
    },
    (answer) => {
      if (answer.kind !== 'done') book.putBack(ended);
    },
  );
}

function epochOf(key: string): number {
  return Number(key.split(':')[2]);
}
