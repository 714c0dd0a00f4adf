import { unreachable } from '../../src/core/assert.ts';
import { pgError } from '../../src/core/errors.ts';
import { type CommitOutcome, commitProtocol } from '../../src/transaction/commit-protocol.ts';
import { FenceTurns, type Side } from '../../src/transaction/fence-turns.ts';
import { decisionKey } from '../../src/transaction/gid.ts';
import { openingProtocol } from '../../src/transaction/opening-protocol.ts';
import type { Answer, Effect, Protocol } from '../../src/transaction/protocol.ts';
import { recoveryProtocol } from '../../src/transaction/recovery-protocol.ts';
import { type EndedDecisions, TransactionBook } from '../../src/transaction/transaction-book.ts';
import { UnsettledCommits } from '../../src/transaction/unsettled-commits.ts';
import type { Read, SimTransaction } from './history.ts';
import type { Bug } from './sabotage.ts';
import { SimConnection, type SimServer } from './servers.ts';
import type { World } from './world.ts';

const lostError = pgError('connectionFailure', 'lost');
const refusedError = pgError('inFailedSqlTransaction', 'refused');
const lostAnswer: Answer = { kind: 'lost', error: lostError };
const refusal: Answer = { kind: 'refused', error: refusedError };
const done: Answer = { kind: 'done' };

export interface RouterOptions {
  readonly id: number;
  /** Several routers share the herd. */
  readonly shares: boolean;
  readonly bug: Bug | null;
}

/** A router of the simulation: the real protocols, turns and book-keeping, over simulated connections. */
export class SimRouter {
  readonly id: number;
  alive = true;
  readonly #world: World;
  /** By site; 0 is the coordinator. */
  readonly #servers: readonly SimServer[];
  readonly #bug: Bug | null;
  readonly #shares: boolean;
  readonly #turns: FenceTurns;
  readonly #book = new TransactionBook();
  readonly #unsettled = new UnsettledCommits();
  readonly #connections = new Set<SimConnection>();
  #epoch = 0;
  #lockConnection: SimConnection | null = null;
  #lockAsked: Side | null = null;
  #sweeping = false;
  #settledWaiters: (() => void)[] = [];
  /** The coordinator has been asked to fence the dead: clients may come. */
  ready = false;

  constructor(world: World, servers: readonly SimServer[], { id, shares, bug }: RouterOptions) {
    this.id = id;
    this.#world = world;
    this.#servers = servers;
    this.#bug = bug;
    this.#shares = shares && bug !== 'routers do not share the fence';
    const lock = { acquire: (side: Side) => this.#acquireLock(side), release: () => this.#releaseLock() };
    this.#turns = new FenceTurns(this.#shares ? lock : null);
    this.#register();
    this.#tick();
  }

  kill(): void {
    this.alive = false;
    for (const connection of this.#connections) connection.cut();
  }

  cutLock(): void {
    this.#lockConnection?.cut();
  }

  cutSomething(): void {
    const open = [...this.#connections].filter((connection) => connection.open);
    if (open.length > 0) this.#world.random.pick(open).cut();
  }

  /** A session that writes on the sites and commits. */
  run(transaction: SimTransaction): void {
    const connections = new Map<number, SimConnection>();
    for (const site of transaction.sites) {
      const connection = this.#connect(site);
      connection.transaction = connection.open ? transaction.bit : 0;
      connections.set(site, connection);
    }
    const finish = (told: NonNullable<SimTransaction['told']>) => {
      transaction.told = told;
      transaction.toldMs = this.#world.nowMs;
    };
    this.#after(this.#world.random.int(0, 30), () => {
      if (transaction.sites.length === 1) this.#commitOne(connections.get(transaction.sites[0]!)!, finish);
      else this.#commitAll(transaction, connections, finish);
    });
  }

  #commitOne(connection: SimConnection, finish: (told: 'committed' | 'aborted' | 'unknown') => void): void {
    if (this.#turns.side === 'opening' && this.#bug !== 'one-writer commits do not wait for openings') {
      const passed = () => {
        this.#turns.leave();
        this.#commitOne(connection, finish);
      };
      if (this.#turns.enter('commit', () => this.#after(0, passed))) passed();
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

  #commitAll(
    { bit, sites }: SimTransaction,
    connections: ReadonlyMap<number, SimConnection>,
    finish: (told: 'committed' | 'aborted' | 'unknown') => void,
  ): void {
    const name = this.#book.begin('sim', this.#epoch);
    const nodes = sites.filter((site) => site !== 0);
    const coordinator = sites.includes(0) ? 'writer' : 'absent';
    let early = false;
    const perform = (effect: Effect, answer: (answer: Answer) => void): void => {
      switch (effect.kind) {
        case 'prepare':
          connections.get(effect.node)!.send(
            () => this.#prepare(connections.get(effect.node)!, effect.gid),
            answer,
            () => answer(this.#bug === 'lost vote taken for a yes' ? done : lostAnswer),
          );
          return;
        case 'check constraints':
          answer(done);
          return;
        case 'enter fence':
          if (this.#turns.enter('commit', () => this.#after(0, () => answer(done)))) answer(done);
          return;
        case 'leave fence':
          this.#unsettled.add(effect.key, effect.untold);
          if (effect.served) this.#book.served([effect.key]);
          this.#book.told(effect.key, effect.told);
          if (!early) this.#turns.leave();
          answer(done);
          return;
        case 'decide': {
          if (this.#bug === 'nodes told before the decision') {
            for (const node of nodes) this.#finish(node, `${decisionKey(name)}:${node}`, 'COMMIT', () => {});
          }
          const connection = effect.apart ? this.#connect(0) : connections.get(0)!;
          const answered = (result: Answer) => {
            if (this.#bug === 'fence released early') {
              early = true;
              this.#turns.leave();
            }
            answer(result);
          };
          connection.send(
            () => this.#decide(connection, effect, effect.apart ? 0 : bit),
            answered,
            () => answered(this.#bug === 'lost decision taken for a no' ? refusal : lostAnswer),
          );
          return;
        }
        case 'ask':
          this.#ask(effect.key, answer);
          return;
        case 'finish': {
          const own = connections.get(effect.node)!;
          const told = (result: Answer) =>
            answer(this.#bug === 'untold node taken for told' && result.kind !== 'done' ? done : result);
          this.#finish(effect.node, effect.gid, effect.verb, told, effect.anew ? undefined : own);
          return;
        }
        case 'end coordinator':
        case 'end readers':
          answer(done);
          return;
        default:
          throw new Error(`${effect.kind} in a commit`);
      }
    };
    this.#drive(commitProtocol({ name, nodes, coordinator }), perform, (outcome: CommitOutcome) => {
      this.#book.ended(name, outcome);
      const forgetsAborts = this.#bug === 'abort forgotten while its router lives';
      if (forgetsAborts && outcome.kind === 'aborted') this.#book.served([decisionKey(name)]);
      if (this.#bug === 'decision rows forgotten without the lock') this.#tellDecisions();
      else if (forgetsAborts && !this.#shares) this.#tellDecisions();
      finish(outcome.kind);
      if (outcome.unsettled.length > 0) this.sweep();
    });
  }

  /** Takes snapshots of the sites and tells what they show, if it is sure. */
  read(sites: readonly number[], seen: (read: Read) => void): void {
    const shown = new Map<number, number>();
    const protocol = openingProtocol();
    const outside = this.#bug === 'openings enter without the fence';
    let lost = false;
    const go = (answer: boolean): void => {
      const step = protocol.next(answer);
      if (step.done) {
        if (step.value === 'sure' && !lost) seen({ router: this.id, seen: shown });
        return;
      }
      switch (step.value.kind) {
        case 'await settled':
          this.#awaitSettled(sites, () => go(true));
          return;
        case 'enter fence':
          if (outside || this.#turns.enter('opening', () => this.#after(0, () => go(true)))) go(true);
          return;
        case 'look again':
          go(this.#bug === 'openings do not wait for untold nodes' || !this.#unsettled.hideFrom(sites));
          return;
        case 'take snapshots': {
          let left = sites.length;
          const taken = () => {
            left -= 1;
            if (left === 0) this.#after(0, () => go(true));
          };
          for (const site of sites) {
            const connection = this.#connect(site);
            connection.send(
              () => connection.server.visible,
              (visible) => {
                shown.set(site, visible);
                taken();
              },
              () => {
                lost = true;
                taken();
              },
            );
          }
          return;
        }
        case 'confirm':
          this.#confirm(sites, (sure) => go(sure));
          return;
        case 'leave fence':
          if (!outside) this.#turns.leave();
          go(true);
          return;
        default:
          unreachable(step.value);
          return;
      }
    };
    go(true);
  }

  /** One sweep of recovery, unless one is under way. */
  sweep(): void {
    if (!this.alive || this.#sweeping || this.#epoch === 0) return;
    this.#sweeping = true;
    const nodes = this.#servers.map((_, site) => site).filter((site) => site !== 0);
    const scope = { clusterId: 'sim', nodes, ...this.#book.scope(this.#epoch) };
    const perform = (effect: Effect, answer: (answer: Answer) => void): void => {
      switch (effect.kind) {
        case 'fence dead epochs':
          this.#atCoordinator(({ epochs }) => {
            for (const epoch of epochs.keys()) this.#fenceEpoch(epoch);
            return done;
          }, answer);
          return;
        case 'fence epoch':
          this.#atCoordinator(() => ({ kind: 'epoch', dead: this.#fenceEpoch(effect.epoch) }), answer);
          return;
        case 'list fenced decisions':
          this.#atCoordinator(() => this.#fencedDecisions(), answer);
          return;
        case 'list prepared':
          this.#at(effect.node, (node) => ({ kind: 'listed', names: [...node.prepared.keys()] }), answer);
          return;
        case 'ask':
          this.#ask(effect.key, answer);
          return;
        case 'enter fence':
          if (this.#turns.enter('commit', () => this.#after(0, () => answer(done)))) answer(done);
          return;
        case 'leave fence':
          this.#unsettled.told(effect.key, effect.told);
          this.#book.told(effect.key, effect.told);
          this.#unsettled.add(effect.key, effect.untold);
          this.#turns.leave();
          this.#wake();
          answer(done);
          return;
        case 'finish':
          this.#finish(effect.node, effect.gid, effect.verb, answer);
          return;
        case 'forget':
          this.#book.served(effect.keys);
          answer(done);
          return;
        default:
          throw new Error(`${effect.kind} in recovery`);
      }
    };
    this.#drive(recoveryProtocol(scope), perform, ({ settled, owed, complete }) => {
      this.#book.settled(settled);
      this.#unsettled.settled(settled);
      this.#wake();
      for (const { key, nodes: owing } of owed) this.#unsettled.add(key, owing);
      this.ready ||= complete;
      this.#sweeping = false;
    });
  }

  #prepare(connection: SimConnection, gid: string): Answer {
    if (connection.transaction === 0) return refusal;
    connection.server.prepared.set(gid, connection.transaction);
    connection.transaction = 0;
    return done;
  }

  #decide(connection: SimConnection, effect: Extract<Effect, { kind: 'decide' }>, bit: number): Answer {
    const { decisions, epochs } = connection.server;
    const key = decisionKey(effect.name);
    if (bit !== 0 && connection.transaction === 0) return refusal;
    connection.transaction = 0;
    if (epochs.get(effect.name.epoch)!.fenced || decisions.has(key)) return refusal;
    if (this.#bug !== 'decision row skipped') decisions.set(key, { decision: 'commit', nodes: effect.nodes });
    connection.server.visible |= bit;
    return done;
  }

  #ask(key: string, answer: (answer: Answer) => void): void {
    const doubtful = this.#bug === 'unanswered question taken for an abort';
    this.#atCoordinator(
      ({ decisions }) => {
        const known = decisions.get(key);
        if (known === undefined && this.#bug !== 'abort not recorded') {
          decisions.set(key, { decision: 'abort', nodes: [] });
        }
        return { kind: 'decided', decision: known?.decision ?? 'abort' };
      },
      (result) => answer(doubtful && result.kind === 'lost' ? { kind: 'decided', decision: 'abort' } : result),
    );
  }

  #finish(
    node: number,
    gid: string,
    verb: 'COMMIT' | 'ROLLBACK',
    answer: (answer: Answer) => void,
    connection: SimConnection = this.#connect(node),
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

  #fenceEpoch(number: number): boolean {
    const epoch = this.#servers[0]!.epochs.get(number)!;
    if (epoch.fenced) return true;
    if (this.#bug === 'living routers taken for dead') return true;
    if (epoch.holder !== null) return false;
    if (this.#bug !== 'dead epochs not fenced') epoch.fenced = true;
    return true;
  }

  #fencedDecisions(): Answer {
    const read = () => {
      const { decisions, epochs } = this.#servers[0]!;
      return [...decisions].flatMap(([key, row]) => (epochs.get(epochOf(key))!.fenced ? [{ key, ...row }] : []));
    };
    if (this.#bug !== 'fenced decisions read after the nodes') return { kind: 'decisions', decisions: read() };
    return {
      kind: 'decisions',
      get decisions() {
        return read();
      },
    };
  }

  /** Apart from any lock: among several routers that is a bug. */
  #tellDecisions(): void {
    if (!this.#book.hasEnded) return;
    const ended = this.#book.takeEnded();
    this.#atCoordinator(
      (coordinator) => {
        this.#tellAt(coordinator, ended);
        return done;
      },
      (answer) => {
        if (answer.kind !== 'done') this.#book.putBack(ended);
      },
    );
  }

  #tellAt({ decisions, epochs }: SimServer, { served, told }: EndedDecisions): void {
    for (const [key, nodes] of told) {
      const row = decisions.get(key);
      if (row !== undefined) decisions.set(key, { ...row, nodes: row.nodes.filter((node) => !nodes.includes(node)) });
    }
    for (const key of served) {
      const living = !epochs.get(epochOf(key))!.fenced && this.#bug !== 'abort forgotten while its router lives';
      if (decisions.get(key)?.decision === 'commit' || !living) decisions.delete(key);
    }
  }

  #awaitSettled(sites: readonly number[], settled: () => void): void {
    if (this.#bug === 'openings do not wait for untold nodes' || !this.#unsettled.hideFrom(sites)) {
      settled();
      return;
    }
    this.#settledWaiters.push(() => this.#awaitSettled(sites, settled));
    this.sweep();
  }

  #wake(): void {
    const waiting = this.#settledWaiters;
    this.#settledWaiters = [];
    for (const wake of waiting) wake();
  }

  #confirm(sites: readonly number[], answer: (sure: boolean) => void): void {
    const lock = this.#lockConnection;
    if (!this.#shares || this.#bug === 'openings do not look at decision rows') {
      this.#after(0, () => answer(true));
      return;
    }
    if (lock === null) {
      this.#after(0, () => answer(false));
      return;
    }
    lock.send(
      () => {
        const { herdLock, decisions } = lock.server;
        const rows = [...decisions.values()].filter(({ decision }) => decision === 'commit');
        return herdLock.holds(lock) && !rows.some(({ nodes }) => nodes.some((node) => sites.includes(node)));
      },
      answer,
      () => answer(false),
    );
  }

  #acquireLock(side: Side): void {
    this.#lockAsked = side;
    const lock = this.#lockConnection;
    if (lock === null) return;
    lock.sendAsking<void>(
      (reply) => lock.server.herdLock.ask(lock, side, () => reply()),
      () => {
        if (!this.alive || this.#lockConnection !== lock || this.#lockAsked === null) return;
        this.#lockAsked = null;
        this.#after(20, () => this.#turns.closeTurn());
        this.#turns.granted();
      },
      () => {},
    );
  }

  #releaseLock(): void {
    const lock = this.#lockConnection;
    if (lock === null || !this.alive) return;
    const ended = this.#book.takeEnded();
    lock.send(
      () => {
        // Only who holds the lock forgets.
        const holds = lock.server.herdLock.holds(lock);
        if (holds) this.#tellAt(lock.server, ended);
        lock.server.herdLock.leave(lock);
        return holds;
      },
      (forgotten) => {
        if (!forgotten) this.#book.putBack(ended);
      },
      () => this.#book.putBack(ended),
    );
  }

  #openLock(): void {
    if (!this.alive || !this.#shares || this.#lockConnection !== null) return;
    const lock = this.#connect(0);
    if (!lock.open) {
      this.#after(20, () => this.#openLock());
      return;
    }
    this.#lockConnection = lock;
    lock.onLost = () => {
      this.#lockConnection = null;
      this.#after(20, () => this.#openLock());
    };
    if (this.#lockAsked !== null) this.#acquireLock(this.#lockAsked);
  }

  /** A new epoch, with the lock that says the router lives; again when the connection that holds it is lost. */
  #register(): void {
    if (!this.alive) return;
    const watch = this.#connect(0);
    const again = () => this.#after(20, () => this.#register());
    watch.send(
      () => {
        const { epochs } = watch.server;
        epochs.set(epochs.size + 1, { fenced: false, holder: watch });
        return epochs.size;
      },
      (epoch) => {
        this.#epoch = epoch;
        watch.onLost = again;
        if (!watch.open) again();
        this.sweep();
      },
      again,
    );
    if (this.#lockConnection === null) this.#openLock();
  }

  /** Recovery in the background; without other routers decisions are forgotten now and then. */
  #tick(): void {
    this.#after(60, () => {
      this.sweep();
      if (!this.#shares) this.#tellDecisions();
      else if (this.#book.hasEnded && this.#turns.enter('commit', () => this.#turns.leave())) this.#turns.leave();
      this.#tick();
    });
  }

  #drive<Outcome>(
    protocol: Protocol<Outcome>,
    perform: (effect: Effect, answer: (answer: Answer) => void) => void,
    over: (outcome: Outcome) => void,
  ): void {
    const go = (answers: readonly Answer[]): void => {
      const step = protocol.next(answers);
      if (step.done) {
        over(step.value);
        return;
      }
      const effects = step.value;
      const got: Answer[] = [];
      let left = effects.length;
      if (left === 0) {
        this.#after(0, () => go([]));
        return;
      }
      for (const [index, effect] of effects.entries()) {
        perform(effect, (answer) => {
          got[index] = answer;
          left -= 1;
          if (left === 0) this.#after(0, () => go(got));
        });
      }
    };
    go([]);
  }

  #atCoordinator(carryOut: (coordinator: SimServer) => Answer, answer: (answer: Answer) => void): void {
    this.#at(0, carryOut, answer);
  }

  #at(site: number, carryOut: (server: SimServer) => Answer, answer: (answer: Answer) => void): void {
    const connection = this.#connect(site);
    connection.send(
      () => carryOut(connection.server),
      answer,
      () => answer(lostAnswer),
    );
  }

  #connect(site: number): SimConnection {
    const connection = new SimConnection(this.#world, this.#servers[site]!);
    if (this.alive) this.#connections.add(connection);
    else connection.cut();
    return connection;
  }

  /** A dead router does nothing any more. */
  #after(delayMs: number, run: () => void): void {
    this.#world.after(delayMs, () => {
      if (this.alive) run();
    });
  }
}

function epochOf(key: string): number {
  return Number(key.split(':')[2]);
}
