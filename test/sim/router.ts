import { FenceTurns } from '../../src/transaction/fence-turns.ts';
import { TransactionBook } from '../../src/transaction/transaction-book.ts';
import { UnsettledCommits } from '../../src/transaction/unsettled-commits.ts';
import { runTransaction } from './committing.ts';
import { tellDecisions } from './decisions.ts';
import { HerdLock } from './herd-lock.ts';
import type { Read, SimTransaction } from './history.ts';
import { openSnapshots } from './opening.ts';
import { type RouterParts, SettledWaiters } from './router-parts.ts';
import type { Bug } from './sabotage.ts';
import { SimConnection, type SimServer } from './servers.ts';
import { sweepOnce } from './sweeping.ts';
import type { World } from './world.ts';

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
  /** The coordinator has been asked to fence the dead: clients may come. */
  ready = false;
  readonly #parts: RouterParts;
  readonly #lock: HerdLock;
  readonly #connections = new Set<SimConnection>();
  #epoch = 0;
  #sweeping = false;

  constructor(world: World, servers: readonly SimServer[], { id, shares, bug }: RouterOptions) {
    this.id = id;
    const isShared = shares && bug !== 'routers do not share the fence';
    this.#lock = new HerdLock(() => this.#parts);
    this.#parts = {
      ...{ world, servers, bug, shares: isShared },
      turns: new FenceTurns(isShared ? this.#lock : null),
      ...{ book: new TransactionBook(), unsettled: new UnsettledCommits(), settled: new SettledWaiters() },
      isAlive: () => this.alive,
      epoch: () => this.#epoch,
      connect: (site) => this.#connect(site),
      after: (delayMs, run) => this.#after(delayMs, run),
      sweep: () => this.sweep(),
    };
    this.#register();
    this.#tick();
  }

  kill(): void {
    this.alive = false;
    for (const connection of this.#connections) connection.cut();
  }

  cutLock(): void {
    this.#lock.cut();
  }

  cutSomething(): void {
    const open = [...this.#connections].filter((connection) => connection.open);
    if (open.length > 0) this.#parts.world.random.pick(open).cut();
  }

  /** A session that writes on the sites and commits. */
  run(transaction: SimTransaction): void {
    runTransaction(this.#parts, transaction);
  }

  /** Takes snapshots of the sites and tells what they show, if it is sure. */
  read(sites: readonly number[], seen: (read: Read) => void): void {
    openSnapshots(this.#parts, this.#lock, sites, (shown) => seen({ router: this.id, seen: shown }));
  }

  /** One sweep of recovery, unless one is under way. */
  sweep(): void {
    if (!this.alive || this.#sweeping || this.#epoch === 0) return;
    this.#sweeping = true;
    sweepOnce(this.#parts, (complete) => {
      this.ready ||= complete;
      this.#sweeping = false;
    });
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
    this.#lock.open();
  }

  /** Recovery in the background; without other routers decisions are forgotten now and then. */
  #tick(): void {
    const { shares, book, turns } = this.#parts;
    this.#after(60, () => {
      this.sweep();
      if (!shares) tellDecisions(this.#parts);
      else if (book.hasEnded && turns.enter('commit', () => turns.leave())) turns.leave();
      this.#tick();
    });
  }

  #connect(site: number): SimConnection {
    const { world, servers } = this.#parts;
    const connection = new SimConnection(world, servers[site]!);
    if (this.alive) this.#connections.add(connection);
    else connection.cut();
    return connection;
  }

  #after(delayMs: number, run: () => void): void {
    this.#parts.world.after(delayMs, () => {
      if (this.alive) run();
    });
  }
}
