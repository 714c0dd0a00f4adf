import net from 'node:net';
import { drawPort } from './postgres.ts';

/** What the proxy does with a message that the router sends to the server. */
export type Fate =
  | { readonly kind: 'pass' }
  /** The connection ends, and the server never sees the message. */
  | { readonly kind: 'cut before' }
  /** The server gets the message; its answer is lost with the connection. `struck` comes between the two. */
  | { readonly kind: 'cut after'; readonly struck?: () => Promise<unknown> }
  | { readonly kind: 'delay'; readonly ms: number };

/** Asked for each message, in order of arrival; may act on the world before it answers. Text: all that is printable in the message. */
export type FateOf = (message: { readonly type: string; readonly text: string }) => Fate | Promise<Fate>;

export interface FaultProxy {
  readonly port: number;
  fateOf: FateOf;
  /** All connections end at once, in both directions. */
  cutAll(): void;
  stop(): Promise<void>;
}

const pass: Fate = { kind: 'pass' };

/** A TCP proxy in front of one PostgreSQL server that understands the framing of the protocol, so that faults strike at chosen messages. */
export async function startFaultProxy(server: { readonly host: string; readonly port: number }): Promise<FaultProxy> {
  const links = new Set<Link>();
  const proxy = { fateOf: (() => pass) as FateOf };
  const listener = net.createServer((client) => {
    const link = new Link(client, net.connect(server.port, server.host), (message) => proxy.fateOf(message));
    links.add(link);
    link.onEnd = () => links.delete(link);
  });
  const port = await drawPort();
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(port, '127.0.0.1', resolve);
  });
  return Object.assign(proxy, {
    port,
    cutAll() {
      for (const link of links) link.cut();
    },
    async stop() {
      for (const link of links) link.cut();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  });
}

/** One connection: bytes of the server pass, messages of the client are looked at one by one. */
class Link {
  readonly #client: net.Socket;
  readonly #server: net.Socket;
  readonly #fateOf: FateOf;
  #received: Buffer = Buffer.alloc(0);
  #started = false;
  #busy = false;
  onEnd: (() => void) | null = null;

  constructor(client: net.Socket, server: net.Socket, fateOf: FateOf) {
    this.#client = client;
    this.#server = server;
    this.#fateOf = fateOf;
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.cut());
      socket.on('close', () => this.cut());
    }
    client.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      void this.#forward();
    });
    server.on('data', (chunk) => client.write(chunk));
  }

  cut(): void {
    this.#client.destroy();
    this.#server.destroy();
    this.onEnd?.();
  }

  async #forward(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let message = this.#nextMessage(); message !== null; message = this.#nextMessage()) {
      const fate = await this.#fateOf(describe(message, this.#started));
      this.#started = true;
      if (!(await this.#meet(fate, message))) return;
    }
    this.#busy = false;
  }

  /** False: the connection has ended. */
  async #meet(fate: Fate, message: Buffer): Promise<boolean> {
    switch (fate.kind) {
      case 'pass':
        this.#server.write(message);
        return true;
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, fate.ms));
        this.#server.write(message);
        return true;
      case 'cut before':
        this.cut();
        return false;
      case 'cut after': {
        this.#server.removeAllListeners('data');
        this.#client.destroy();
        // What the server says shows that it has carried the message out; nobody hears it.
        const answered = new Promise<void>((resolve) => {
          this.#server.once('data', () => resolve());
          this.#server.once('close', () => resolve());
        });
        this.#server.write(Buffer.concat([message, this.#received]));
        await answered;
        await fate.struck?.();
        this.cut();
        return false;
      }
    }
  }

  /** The startup packet has a length only, every other message a type before it. */
  #nextMessage(): Buffer | null {
    const at = this.#started ? 1 : 0;
    if (this.#received.length < at + 4) return null;
    const length = at + this.#received.readUInt32BE(at);
    if (this.#received.length < length) return null;
    const message = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return message;
  }
}

function describe(message: Buffer, started: boolean): { type: string; text: string } {
  return { type: started ? String.fromCharCode(message[0]!) : 'startup', text: message.toString('latin1') };
}
