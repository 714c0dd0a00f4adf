import { type CommitOutcome, commitProtocol } from '../../src/transaction/commit-protocol.ts';
import { decisionKey } from '../../src/transaction/gid.ts';
import type { Answer, Effect } from '../../src/transaction/protocol.ts';
import { askDecision, decideOn, finishOn, prepareOn, tellDecisions } from './decisions.ts';
import type { SimTransaction } from './history.ts';
import { done, drive, enterFence, lostAnswer, type Reply, type RouterParts, refusal } from './router-parts.ts';
import type { SimConnection } from './servers.ts';

export type Finish = (told: NonNullable<SimTransaction['told']>) => void;

/** A session that writes on the sites and commits. */
export function runTransaction(parts: RouterParts, transaction: SimTransaction): void {
  const { world, connect, after } = parts;
  const connections = new Map<number, SimConnection>();
  for (const site of transaction.sites) {
    const connection = connect(site);
    connection.transaction = connection.open ? transaction.bit : 0;
    connections.set(site, connection);
  }
  const finish: Finish = (told) => {
    transaction.told = told;
    transaction.toldMs = world.nowMs;
  };
  after(world.random.int(0, 30), () => {
    if (transaction.sites.length === 1) commitOne(parts, connections.get(transaction.sites[0]!)!, finish);
    else commitAll(parts, transaction, connections, finish);
  });
}

/** Its COMMIT is not sent while snapshots are being taken. */
function commitOne(parts: RouterParts, connection: SimConnection, finish: Finish): void {
  const { turns, bug, after } = parts;
  if (turns.side === 'opening' && bug !== 'one-writer commits do not wait for openings') {
    const passed = () => {
      turns.leave();
      commitOne(parts, connection, finish);
    };
    if (turns.enter('commit', () => after(0, passed))) passed();
    return;
  }
  connection.send(
    () => {
      const { transaction, server } = connection;
      if (transaction === 0) return false;
      server.visible |= transaction;
      connection.transaction = 0;
      return true;
    },
    (committed) => finish(committed ? 'committed' : 'aborted'),
    () => finish('unknown'),
  );
}

function commitAll(
  parts: RouterParts,
  { bit, sites }: SimTransaction,
  connections: ReadonlyMap<number, SimConnection>,
  finish: Finish,
): void {
  const { book, bug, shares } = parts;
  const name = book.begin('sim', parts.epoch());
  const nodes = sites.filter((site) => site !== 0);
  const coordinator = sites.includes(0) ? 'writer' : 'absent';
  const committing = new Committing(parts, connections, { nodes, bit });
  drive(
    parts,
    commitProtocol({ name, nodes, coordinator }),
    (effect, answer) => committing.perform(effect, answer),
    (outcome: CommitOutcome) => {
      book.ended(name, outcome);
      const forgetsAborts = bug === 'abort forgotten while its router lives';
      if (forgetsAborts && outcome.kind === 'aborted') book.served([decisionKey(name)]);
      if (bug === 'decision rows forgotten without the lock') tellDecisions(parts);
      else if (forgetsAborts && !shares) tellDecisions(parts);
      finish(outcome.kind);
      if (outcome.unsettled.length > 0) parts.sweep();
    },
  );
}

/** Does what the commit protocol asks for. */
class Committing {
  readonly #parts: RouterParts;
  readonly #connections: ReadonlyMap<number, SimConnection>;
  readonly #nodes: readonly number[];
  readonly #bit: number;
  /** A planted bug has left the fence already. */
  #hasLeft = false;

  constructor(
    parts: RouterParts,
    connections: ReadonlyMap<number, SimConnection>,
    { nodes, bit }: { readonly nodes: readonly number[]; readonly bit: number },
  ) {
    this.#parts = parts;
    this.#connections = connections;
    this.#nodes = nodes;
    this.#bit = bit;
  }

  perform(effect: Effect, answer: Reply): void {
    const { bug } = this.#parts;
    switch (effect.kind) {
      case 'prepare': {
        const connection = this.#connections.get(effect.node)!;
        connection.send(
          () => prepareOn(connection, effect.gid),
          answer,
          () => answer(bug === 'lost vote taken for a yes' ? done : lostAnswer),
        );
        return;
      }
      case 'enter fence':
        enterFence(this.#parts, answer);
        return;
      case 'leave fence':
        this.#leaveFence(effect, answer);
        return;
      case 'decide':
        this.#decide(effect, answer);
        return;
      case 'ask':
        askDecision(this.#parts, effect.key, answer);
        return;
      case 'finish': {
        const told = (result: Answer) =>
          answer(bug === 'untold node taken for told' && result.kind !== 'done' ? done : result);
        const own = this.#connections.get(effect.node)!;
        finishOn(effect.anew ? this.#parts.connect(effect.node) : own, effect, told);
        return;
      }
      case 'check constraints':
      case 'end coordinator':
      case 'end readers':
        answer(done);
        return;
      default:
        throw new Error(`${effect.kind} in a commit`);
    }
  }

  #leaveFence(effect: Extract<Effect, { kind: 'leave fence' }>, answer: Reply): void {
    const { unsettled, book, turns } = this.#parts;
    unsettled.add(effect.key, effect.untold);
    if (effect.served) book.served([effect.key]);
    book.told(effect.key, effect.told);
    if (!this.#hasLeft) turns.leave();
    answer(done);
  }

  #decide(effect: Extract<Effect, { kind: 'decide' }>, answer: Reply): void {
    const { bug, connect, turns } = this.#parts;
    if (bug === 'nodes told before the decision') {
      for (const node of this.#nodes) {
        const gid = `${decisionKey(effect.name)}:${node}`;
        finishOn(connect(node), { gid, verb: 'COMMIT' }, () => {});
      }
    }
    const connection = effect.apart ? connect(0) : this.#connections.get(0)!;
    const answered = (result: Answer) => {
      if (bug === 'fence released early') {
        this.#hasLeft = true;
        turns.leave();
      }
      answer(result);
    };
    connection.send(
      () => decideOn(connection, effect, effect.apart ? 0 : this.#bit, bug),
      answered,
      () => answered(bug === 'lost decision taken for a no' ? refusal : lostAnswer),
    );
  }
}
