import { connect, type Socket } from 'node:net';
import { startup } from './frames.ts';
import { describeMessage, type Message, takeMessages } from './transcript.ts';

export type Address = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
};

export function addressOf(url: string): Address {
  const { hostname, port, username, pathname } = new URL(url);
  return { host: hostname, port: Number(port), user: username, database: pathname.slice(1) };
}

const waitMs = 10_000;

/** A socket that speaks frames, and the transcript of what came back. Fails when an answer doesn't come in time. */
export class RawConnection {
  readonly lines: string[] = [];
  readonly messages: Message[] = [];
  readonly #socket: Socket;
  #unread: Buffer = Buffer.alloc(0);
  #closed = false;
  #framed: boolean;
  #wake: () => void = () => {};

  private constructor(socket: Socket, framed: boolean) {
    this.#socket = socket;
    this.#framed = framed;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#arrived(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** Connected, nothing sent. `framed` false: single bytes come back, as for SSLRequest. */
  static open({ host, port }: Address, framed = true): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, host);
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket, framed)));
    });
  }

  /** Logged in; the transcript starts with the parameters that the server reported. */
  static async login(address: Address, parameters: Readonly<Record<string, string>> = {}): Promise<RawConnection> {
    const connection = await RawConnection.open(address);
    await connection.ready(startup({ user: address.user, database: address.database, ...parameters }));
    // What the login reported is kept: a value that changes and comes back is no change.
    const reported = connection.lines.filter((line) => line.startsWith('ParameterStatus'));
    connection.lines.splice(0, connection.lines.length, ...reported, 'logged in');
    return connection;
  }

  send(...frames: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(frames));
  }

  /** Sends, and waits for as many ReadyForQuery as given. */
  async ready(...frames: readonly Buffer[]): Promise<void> {
    await this.readyTimes(1, ...frames);
  }

  async readyTimes(count: number, ...frames: readonly Buffer[]): Promise<void> {
    const isReady = (message: Message) => message.type === 'Z';
    const wanted = this.messages.filter(isReady).length + count;
    this.send(...frames);
    await this.#until(() => this.messages.filter(isReady).length >= wanted, 'ReadyForQuery');
  }

  /** Sends, and waits for that many messages more: for Flush and COPY, where no ReadyForQuery comes. */
  async answers(count: number, ...frames: readonly Buffer[]): Promise<void> {
    const wanted = this.messages.length + count;
    this.send(...frames);
    await this.#until(() => this.messages.length >= wanted, `${count} messages`);
  }

  /** Sends, and waits for the other side to hang up. */
  async hangUp(...frames: readonly Buffer[]): Promise<void> {
    this.send(...frames);
    await this.#until(() => this.#closed, 'the end of the connection');
    this.lines.push('(closed)');
  }

  /** A single byte without a frame: the answer to SSLRequest. */
  async byte(...frames: readonly Buffer[]): Promise<void> {
    this.send(...frames);
    await this.#until(() => this.#unread.length > 0 || this.#closed, 'one byte');
    this.lines.push(`byte ${this.#unread.toString('latin1')}`);
    this.#unread = Buffer.alloc(0);
    this.#framed = true;
  }

  end(): void {
    this.#socket.destroy();
  }

  #arrived(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    if (this.#framed) {
      const { messages, rest } = takeMessages(this.#unread);
      this.#unread = rest;
      this.messages.push(...messages);
      this.lines.push(...messages.map(describeMessage));
    }
    this.#wake();
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + waitMs;
    while (!condition()) {
      if (this.#closed || Date.now() > deadline) {
        this.lines.push(`(no ${what}: ${this.#closed ? 'connection closed' : 'silence'})`);
        throw new TranscriptEnd();
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** Ends a scenario early; its transcript so far tells the rest. */
export class TranscriptEnd extends Error {}
