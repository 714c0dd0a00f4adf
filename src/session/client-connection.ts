import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import type { ServerConnection } from '../backend/server-connection.ts';
import { type ErrorFields, toErrorFields } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { encodeErrorResponse } from '../wire/backend.ts';
import { FrameCutter, readStartupPacket, type StartupPacket } from '../wire/frames.ts';
import { Inbox } from './inbox.ts';

/** What is written in one turn is held back up to here. */
const maxHeldBytes = 65_536;
/** Up to here copying pieces together is cheaper than handing them over one by one. */
const maxCopiedBytes = 16_384;

/**
 * The client's end: its socket, the messages that came in, the bytes that go out. Servers that feed the client register here, so
 * that a client that reads slowly pauses them.
 */
export class ClientConnection {
  readonly inbox: Inbox;
  readonly #plain: net.Socket;
  #socket: Duplex;
  #cutter = new FrameCutter(limits.maxUnauthenticatedFrameBytes);
  #sources = new Set<ServerConnection>();
  #sourcesPaused = false;
  /** Written in this turn of the event loop, and not sent yet. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #closed = false;
  onClosed: (() => void) | null = null;

  constructor(socket: net.Socket) {
    this.#plain = socket;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    this.inbox = new Inbox(limits.clientHighWaterBytes, (paused) => {
      if (paused) this.#socket.pause();
      else this.#socket.resume();
    });
    this.#watch(socket);
  }

  get remoteAddress(): string {
    return this.#plain.remoteAddress ?? '';
  }

  get closed(): boolean {
    return this.#closed;
  }

  get secure(): boolean {
    return this.#socket !== this.#plain;
  }

  /** Reads packets until the startup packet proper; answers requests for encryption on the way. Null: the client left. */
  async startup(
    secureContext: tls.SecureContext | null,
  ): Promise<Extract<StartupPacket, { kind: 'startup' | 'cancel' }> | null> {
    for (;;) {
      const packet = await this.#nextPacket();
      if (packet === null || packet.kind === 'startup' || packet.kind === 'cancel') return packet;
      if (packet.kind === 'ssl' && secureContext !== null && !this.secure) {
        this.#plain.write('S');
        await this.#secure(secureContext);
      } else this.#socket.write('N');
    }
  }

  /** Hands the client on to another worker, on this machine: its bytes pass through here from now on. */
  relay(port: number, startup: Buffer): void {
    const peer = net.connect({ host: '127.0.0.1', port, noDelay: true });
    peer.write(startup);
    peer.on('error', () => this.#plain.destroy());
    peer.on('close', () => this.#plain.destroy());
    this.#plain.on('close', () => peer.destroy());
    this.#socket.pipe(peer);
    peer.pipe(this.#socket);
  }

  /** From here on the socket's bytes are messages of the protocol proper. */
  startMessages(): void {
    const onFrame = (type: number, frame: Buffer) => this.inbox.push(type, frame);
    this.#socket.on('data', (chunk: Buffer) => {
      try {
        this.#cutter.push(chunk, onFrame);
      } catch (error) {
        this.fail(toErrorFields(error));
      }
      this.inbox.arrived();
    });
    this.#socket.resume();
  }

  authenticated(): void {
    this.#cutter.maxFrameBytes = limits.maxClientFrameBytes;
  }

  /** Writes made in one turn of the event loop leave together: small ones as one packet. */
  write(bytes: Buffer): void {
    if (this.#closed) return;
    if (this.#held.length === 0) process.nextTick(this.#flush);
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > maxHeldBytes) this.flush();
  }

  /** Sends what is held back. */
  flush(): void {
    const held = this.#held;
    if (held.length === 0) return;
    const bytes = this.#heldBytes;
    this.#held = [];
    this.#heldBytes = 0;
    if (held.length === 1) this.#socket.write(held[0]!);
    else if (bytes <= maxCopiedBytes) this.#socket.write(Buffer.concat(held, bytes));
    else {
      this.#socket.cork();
      for (const each of held) this.#socket.write(each);
      this.#socket.uncork();
    }
    if (!this.#sourcesPaused && this.#socket.writableLength > limits.clientHighWaterBytes && this.#sources.size > 0) {
      this.#pauseSources();
    }
  }

  /** A server whose rows go to this client; paused while the client doesn't keep up. */
  attach(source: ServerConnection): void {
    this.#sources.add(source);
    if (this.#sourcesPaused) source.pause();
  }

  detach(source: ServerConnection): void {
    if (this.#sources.delete(source) && this.#sourcesPaused) source.resume();
  }

  /** The client does not read what it is told. */
  get isBehind(): boolean {
    return this.#sourcesPaused || this.#socket.writableLength > maxHeldBytes;
  }

  /** Says FATAL and hangs up. */
  fail(fields: ErrorFields): void {
    if (this.#closed) return;
    this.write(encodeErrorResponse({ ...fields, severity: 'FATAL' }));
    this.end();
  }

  end(): void {
    this.flush();
    this.#socket.end();
    setTimeout(() => this.#plain.destroy(), 2_000).unref();
  }

  destroy(): void {
    this.#plain.destroy();
  }

  readonly #flush = () => this.flush();

  #pauseSources(): void {
    this.#sourcesPaused = true;
    for (const source of this.#sources) source.pause();
    this.#socket.once('drain', () => {
      this.#sourcesPaused = false;
      for (const source of this.#sources) source.resume();
    });
  }

  #watch(socket: Duplex): void {
    socket.on('error', () => this.#plain.destroy());
    this.#plain.once('close', () => {
      if (this.#closed) return;
      this.#closed = true;
      for (const source of this.#sources) source.resume();
      this.#sources.clear();
      this.inbox.close();
      this.onClosed?.();
    });
    socket.on('end', () => this.inbox.close());
  }

  async #secure(secureContext: tls.SecureContext): Promise<void> {
    const secure = new tls.TLSSocket(this.#plain, { isServer: true, secureContext });
    this.#socket = secure;
    this.#watch(secure);
    await new Promise<void>((resolve) => {
      secure.once('secure', () => resolve());
      this.#plain.once('close', () => resolve());
    });
  }

  #nextPacket(): Promise<StartupPacket | null> {
    const socket = this.#socket;
    let received: Buffer = Buffer.alloc(0);
    return new Promise((resolve, reject) => {
      const finish = (packet: StartupPacket | null) => {
        socket.off('data', onData);
        socket.off('close', onClose);
        resolve(packet);
      };
      const onClose = () => finish(null);
      const onData = (chunk: Buffer) => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
        try {
          const read = readStartupPacket(received);
          if (read.kind === 'incomplete') return;
          const rest = received.subarray(read.bytes);
          // Bytes behind an SSLRequest would have been sent in the clear before encryption: refuse them (CVE-2021-23214).
          if (rest.length > 0 && read.packet.kind !== 'startup') {
            this.#plain.destroy();
            return finish(null);
          }
          socket.pause();
          if (rest.length > 0) socket.unshift(rest);
          finish(read.packet);
        } catch (error) {
          socket.off('data', onData);
          socket.off('close', onClose);
          reject(error);
        }
      };
      socket.on('data', onData);
      socket.on('close', onClose);
      socket.resume();
      if (this.#plain.destroyed) finish(null);
    });
  }
}
