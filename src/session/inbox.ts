import { pgError } from '../core/errors.ts';

/** A client message: its type byte and the whole frame. */
export interface Message {
  readonly type: number;
  readonly frame: Buffer;
}

/**
 * Messages that have arrived and are not yet handled, in order. Bounded by bytes: above the high-water mark the socket is paused,
 * which is the client's back-pressure.
 */
export class Inbox {
  readonly #highWaterBytes: number;
  readonly #pause: (paused: boolean) => void;
  #messages: Message[] = [];
  #head = 0;
  #bytes = 0;
  #paused = false;
  #closed = false;
  #wake: (() => void) | null = null;
  /** Asked before whoever waits is woken. */
  #gate: (() => boolean) | null = null;

  constructor(highWaterBytes: number, pause: (paused: boolean) => void) {
    this.#highWaterBytes = highWaterBytes;
    this.#pause = pause;
  }

  get closed(): boolean {
    return this.#closed;
  }

  push(type: number, frame: Buffer): void {
    this.#messages.push({ type, frame });
    this.#bytes += frame.length;
    if (!this.#paused && this.#bytes > this.#highWaterBytes) {
      this.#paused = true;
      this.#pause(true);
    }
  }

  /** All messages of a packet are here, or whoever took messages at the gate is done with them. */
  arrived(): void {
    if (this.#wake !== null && (this.#gate === null || this.#gate())) this.#wakeUp();
  }

  close(): void {
    this.#closed = true;
    this.arrived();
  }

  get waitingMessages(): number {
    return this.#messages.length - this.#head;
  }

  /** Message `index` of those that wait, left where it is. */
  peek(index: number): Message | undefined {
    return this.#messages[this.#head + index];
  }

  /** Takes the first `count` messages. */
  drop(count: number): void {
    for (let i = 0; i < count; i++) this.take();
  }

  /** The next message's type without taking it; 0 when none is here yet. */
  peekType(): number {
    return this.#messages[this.#head]?.type ?? 0;
  }

  /** The next message, or null when none is here yet. */
  take(): Message | null {
    const message = this.#messages[this.#head];
    if (message === undefined) return null;
    this.#head += 1;
    if (this.#head === this.#messages.length) {
      this.#messages = [];
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
    this.#bytes -= message.frame.length;
    if (this.#paused && this.#bytes < this.#highWaterBytes / 2) {
      this.#paused = false;
      this.#pause(false);
    }
    return message;
  }

  /** Resolves when a message is here or the client is gone; with a gate, when that says so then or later. */
  ready(gate: (() => boolean) | null = null): Promise<void> {
    if (gate === null ? this.#head < this.#messages.length || this.#closed : gate()) return Promise.resolve();
    this.#gate = gate;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** The next message, waited for; rejects (08006) when the client is gone. */
  async next(): Promise<Message> {
    for (;;) {
      const message = this.take();
      if (message !== null) return message;
      if (this.#closed) throw pgError('connectionFailure', 'the client closed the connection', { severity: 'FATAL' });
      await this.ready();
    }
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
