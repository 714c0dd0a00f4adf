import type { PgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { backend as message } from '../wire/message-types.ts';
import type { FrameSink, ServerConnection, TransactionStatus } from './server-connection.ts';

/** Waits for the answer to one statement, in a line with others. */
export interface Rider extends FrameSink {
  /** Nothing of an answer has come, and nothing will: the statement is to be sent again by another connection. */
  onMoved(): void;
  /** It is the first in line, and from now on nobody is behind it. `isHeavy`: it takes long, or its answer is large. */
  onAlone(isHeavy: boolean): void;
}

interface Place {
  /** Null: nobody wants the answer. */
  rider: Rider | null;
  /** Those behind count on what it is about to prepare. */
  prepares: boolean;
}

/** Statements of riders. */
export interface SharedCounts {
  answered: number;
  moved: number;
}

/** Who lends the connection. */
export interface SharedHost {
  readonly counts: SharedCounts;
  /** Nobody is to join any more. */
  onClosed(shared: SharedConnection): void;
  /** All have been answered, or the connection is gone. */
  onEnded(shared: SharedConnection): void;
}

/**
 * A connection on which statements of several sessions follow one another without waiting for answers. Each ends in a Sync of its own, so that their
 * errors stay apart; what joins in one turn of the event loop leaves in one write. All that is sent here can be sent twice: it only reads.
 *
 * Invariant: of its answer only the first in line has been passed anything, so that all others can be moved away.
 */
export class SharedConnection implements FrameSink {
  readonly connection: ServerConnection;
  readonly #host: SharedHost;
  #line: Place[] = [];
  /** What has joined in this turn: the last of the line. */
  #held: Buffer[] = [];
  #isOpen = true;
  #isEnded = false;
  #firstBytes = 0;
  /** Since when the first in line is the first. Milliseconds. */
  firstSinceMs = 0;
  #answered = 0;
  /** `#answered` as it was when this was last looked at. */
  #seenAnswered = -1;
  #cancelAgainMs = 0;

  constructor(connection: ServerConnection, host: SharedHost) {
    this.connection = connection;
    this.#host = host;
  }

  get canBeJoined(): boolean {
    const { closed, cancelling, tainted } = this.connection;
    return this.#isOpen && this.#line.length < limits.maxSharedStatements && !closed && cancelling === null && !tainted;
  }

  /** `prepares`: the bytes have a Parse in them. */
  join(bytes: Buffer, rider: Rider, prepares: boolean): void {
    if (this.#held.length === 0) setImmediate(this.#send);
    this.#held.push(bytes);
    this.#line.push({ rider, prepares });
    // The server need not wait for all that this turn may bring.
    if (this.#held.length === limits.maxSharedPacketStatements) this.#send();
  }

  /** That have joined so far. */
  get statements(): number {
    return this.#answered + this.#line.length;
  }

  isFirst(rider: Rider): boolean {
    return this.#line[0]?.rider === rider && this.#line.length > this.#held.length;
  }

  /**
   * The rider's client wants no answer any more. True: nothing of it has come, and nothing will. False: the server works on it, and has been
   * asked to stop.
   */
  cancel(rider: Rider): boolean {
    if (!this.isFirst(rider)) {
      const place = this.#line.find((each) => each.rider === rider);
      if (place !== undefined) place.rider = null;
      return place !== undefined;
    }
    this.#leaveFirstAlone(false);
    this.#cancelFirst();
    return false;
  }

  /** To be called at intervals, each time when all that has arrived has been read: whoever keeps others waiting from one call to the next is left alone. */
  look(nowMs: number): void {
    const [first] = this.#line;
    const isStuck = this.#answered === this.#seenAnswered;
    this.#seenAnswered = this.#answered;
    if (first === undefined || !isStuck || this.#line.length === this.#held.length) return;
    this.#leaveFirstAlone(true);
    if (first.rider === null && nowMs >= this.#cancelAgainMs) {
      this.#cancelAgainMs = nowMs + cancelAgainMs;
      this.#cancelFirst();
    }
  }

  onFrame(type: number, frame: Buffer): void {
    const first = this.#line[0];
    if (first === undefined) return;
    this.#firstBytes += frame.length;
    if (type === message.parseComplete) first.prepares = false;
    if (type === message.errorResponse && first.prepares) {
      // Whoever counts on it would hear that it is not there.
      if (first.rider === null) this.connection.tainted = true;
      this.#leaveFirstAlone(false);
    } else if (this.#firstBytes > limits.maxSharedAnswerBytes) this.#leaveFirstAlone(true);
    first.rider?.onFrame(type, frame);
  }

  onReady(status: TransactionStatus): void {
    const first = this.#line.shift();
    this.#answered += 1;
    if (first?.rider) {
      this.#host.counts.answered += 1;
      first.rider.onReady(status);
    }
    this.#firstBytes = 0;
    this.firstSinceMs = performance.now();
    if (this.#line.length === 0) this.#end();
  }

  /** Called for each statement under way. */
  onLost(error: PgError): void {
    if (this.#isEnded) return;
    const [first, ...behind] = this.#line;
    this.#line = [];
    this.#held = [];
    this.#end();
    first?.rider?.onLost(error);
    this.#move(behind);
  }

  readonly #send = () => {
    const held = this.#held;
    if (held.length === 0) return;
    if (this.connection.closed) {
      this.#moveAll();
      return;
    }
    this.#held = [];
    this.connection.submitEach(held.length === 1 ? held[0]! : Buffer.concat(held), this, held.length);
  };

  /** The connection has gone before anything was sent. */
  #moveAll(): void {
    const line = this.#line;
    this.#line = [];
    this.#held = [];
    this.#end();
    this.#move(line);
  }

  /** What was sent behind it is answered in vain. */
  #leaveFirstAlone(isHeavy: boolean): void {
    if (!this.#isOpen) return;
    this.#close();
    const [first, ...behind] = this.#line;
    first?.rider?.onAlone(isHeavy);
    this.#move(behind);
  }

  #move(places: readonly Place[]): void {
    const riders = places.flatMap(({ rider }) => rider ?? []);
    for (const place of places) place.rider = null;
    this.#host.counts.moved += riders.length;
    for (const rider of riders) rider.onMoved();
  }

  #cancelFirst(): void {
    this.connection.cancel().catch(() => {});
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#host.onClosed(this);
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#close();
    this.#host.onEnded(this);
  }
}

const cancelAgainMs = 200;
