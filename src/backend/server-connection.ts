import { randomBytes } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { assert } from '../core/assert.ts';
import { PgError, pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { QueryResult, SqlRunner } from '../core/runner.ts';
import * as backend from '../wire/backend.ts';
import { FrameCutter } from '../wire/frames.ts';
import * as frontend from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import { md5Response, ScramClient } from '../wire/scram.ts';
import { collectResult } from './collect-result.ts';
import { StatementNames } from './statement-names.ts';

/** In bytes, as seen from the router. */
export interface Traffic {
  readonly sent: number;
  readonly received: number;
}

/** Where a server is and as whom to log in. */
export interface ServerTarget {
  /** `coordinator` or the node's name: what errors call it. */
  readonly label: string;
  /** A host name or address; a path (`/run/postgresql`) means a unix socket there. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly secret: ServerSecret;
  readonly tls: ServerTls | null;
}

/** How to encrypt. With `ca` (PEM) the server's certificate and its name are checked; without, as libpq's sslmode=require. */
export interface ServerTls {
  readonly ca: string | null;
}

export type ServerSecret =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly password: string }
  /** SCRAM keys learnt from the client's own login, good for servers with the identical verifier. */
  | { readonly kind: 'scram keys'; readonly clientKey: Buffer; readonly serverKey: Buffer };

/**
 * Takes what a server answers to one exchange: everything from its first frame to its ReadyForQuery. Frames are views, valid
 * during the call only unless retained. Called synchronously from the socket's `data` event: the hot path.
 */
export interface FrameSink {
  onFrame(type: number, frame: Buffer): void;
  /** Takes a DataRow where it stands, `chunk[start, end)`; false: it is to come as a frame. */
  onRow?(chunk: Buffer, start: number, end: number): boolean;
  onReady(status: TransactionStatus): void;
  /** The connection is gone; nothing further comes. */
  onLost(error: PgError): void;
}

export type TransactionStatus = 'I' | 'T' | 'E';

type State =
  | { readonly kind: 'starting' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'closed'; readonly error: PgError };

/**
 * One connection to one PostgreSQL server. Its one verb is `submit`: bytes that end in a Sync (or a simple Query), and the sink
 * that takes the answer. Exchanges may be pipelined; answers come in order.
 */
export class ServerConnection implements SqlRunner {
  readonly target: ServerTarget;
  readonly parameters = new Map<string, string>();
  processId = 0;
  transactionStatus: TransactionStatus = 'I';
  /** Which session settings have been applied: the key of the pool's book-keeping (see session-settings). */
  appliedSettings = '';
  readonly preparedStatements = new StatementNames(limits.maxPreparedStatementsPerConnection);
  #lastPortalNumber = 0;
  /** A cancel request that may not have reached the server yet: whoever uses the connection next must wait for it. */
  cancelling: Promise<void> | null = null;
  /** A BEGIN without its answer yet. A cancel that hit it would leave what follows it outside of the block. */
  beginning: Promise<unknown> | null = null;
  /** Marked when the connection carries state that can't be undone cheaply: it is closed instead of pooled. */
  tainted = false;
  onNotification: ((processId: number, channel: string, payload: string) => void) | null = null;
  /** Told of each report of a key trigger (`PHKEY`): such notices are the router's own, and nobody else sees them. */
  onKeyReport: ((report: string) => void) | null = null;
  /** The same for what was asked for by pg_cancel_backend() and its kin (`PHSIG`). */
  onSignalReport: ((report: string) => void) | null = null;
  onClosed: (() => void) | null = null;
  /** Where whoever has borrowed it gives it back. */
  lender: { release(connection: ServerConnection): void } | null = null;
  #state: State = { kind: 'starting' };
  #socket: net.Socket;
  #cutter = new FrameCutter(limits.maxServerFrameBytes);
  /** Exchanges not yet answered, oldest first. */
  #sinks: FrameSink[] = [];
  #cancelKey: Buffer = Buffer.alloc(0);

  private constructor(target: ServerTarget, socket: net.Socket) {
    this.target = target;
    this.#socket = socket;
  }

  /** Connects and logs in. `settings` go into the startup packet. Rejects with PgError (08006, or what the server said). */
  static async open(
    target: ServerTarget,
    settings: ReadonlyMap<string, string>,
    signal?: AbortSignal,
  ): Promise<ServerConnection> {
    const socket = await connectSocket(target, signal);
    const connection = new ServerConnection(target, socket);
    await connection.#start(settings);
    return connection;
  }

  get closed(): boolean {
    return this.#state.kind === 'closed';
  }

  /** Bytes so far, of the protocol or, under TLS, of what carries it. */
  get traffic(): Traffic {
    return { sent: this.#socket.bytesWritten, received: this.#socket.bytesRead };
  }

  /** A portal name that this connection has not used before. */
  newPortalName(): string {
    this.#lastPortalNumber += 1;
    return `pgherd_p${this.#lastPortalNumber}`;
  }

  /** No exchange is under way. */
  get idle(): boolean {
    return this.#sinks.length === 0;
  }

  submit(bytes: Buffer, sink: FrameSink): void {
    if (this.#state.kind === 'closed') {
      sink.onLost(this.#state.error);
      return;
    }
    this.#sinks.push(sink);
    this.#socket.write(bytes);
  }

  /** Several exchanges in one packet, whose answers go to one sink one after the other. */
  submitEach(bytes: Buffer, sink: FrameSink, count: number): void {
    if (this.#state.kind === 'closed') {
      sink.onLost(this.#state.error);
      return;
    }
    for (let i = 0; i < count; i++) this.#sinks.push(sink);
    this.#socket.write(bytes);
  }

  /**
   * More bytes of the exchange submitted last (COPY data, an extended exchange still without its Sync). False: wait for `drained`.
   * `written`: the system has the bytes, and the buffer is the caller's again; not told once the connection is gone.
   */
  write(bytes: Buffer, written?: () => void): boolean {
    if (this.#state.kind === 'closed') return true;
    assert(this.#sinks.length > 0, 'bytes outside an exchange');
    if (written === undefined) return this.#socket.write(bytes);
    return this.#socket.write(bytes, (error) => {
      if (!error) written();
    });
  }

  /** Resolves when the bytes written so far have left, or the connection is gone. */
  drained(): Promise<void> {
    if (!this.#socket.writableNeedDrain || this.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.on('drain', done);
      this.#socket.on('close', done);
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Holds small writes back so that what follows leaves in one packet. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  query(sql: string, parameters?: readonly (string | null)[]): Promise<QueryResult> {
    const bytes =
      parameters === undefined
        ? frontend.encodeQuery(sql)
        : encodeExtendedQuery(
            sql,
            parameters.map((value) => (value === null ? null : Buffer.from(value))),
            [],
            0,
          );
    return collectResult(this, bytes);
  }

  /** The first rows of a result: the others are read and dropped, and the tag counts them too. */
  queryFirst(sql: string, maxRows: number): Promise<QueryResult> {
    return collectResult(this, frontend.encodeQuery(sql), maxRows);
  }

  /** Statements in one exchange, sent together: the first error skips the rest. Gives the last one's rows, as text, and tag. */
  pipeline(
    statements: readonly { readonly sql: string; readonly parameters: readonly string[] }[],
  ): Promise<QueryResult> {
    const parts = statements.flatMap(({ sql, parameters }) => [
      frontend.encodeParse('', sql, []),
      frontend.encodeBind({
        portal: '',
        statement: '',
        parameterFormats: [],
        parameters: parameters.map((value) => Buffer.from(value)),
        resultFormats: [0],
      }),
      frontend.encodeExecute('', 0),
    ]);
    return collectResult(this, Buffer.concat([...parts, frontend.syncMessage]));
  }

  /** Asks the server, over a connection of its own, to cancel what this one is running. */
  cancel(): Promise<void> {
    if (this.closed) return Promise.resolve();
    const cancelling = this.#requestCancel().finally(() => {
      if (this.cancelling === cancelling) this.cancelling = null;
    });
    this.cancelling = cancelling;
    return cancelling;
  }

  async #requestCancel(): Promise<void> {
    await this.beginning;
    const socket = await connectSocket(this.target);
    await new Promise<void>((resolve) => {
      socket.on('close', () => resolve());
      socket.on('error', () => resolve());
      socket.end(frontend.encodeCancelRequest(this.processId, this.#cancelKey));
      socket.resume();
    });
  }

  /** Takes leave of the server. What is under way is lost. */
  close(): void {
    if (this.#state.kind === 'closed') return;
    this.#socket.end(frontend.terminateMessage);
    this.#lose(pgError('connectionFailure', `connection to ${this.target.label} was closed`));
  }

  async #start(settings: ReadonlyMap<string, string>): Promise<void> {
    const { target } = this;
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    const parameters: [string, string][] = [['user', target.user], ['database', target.database], ...settings];
    await new Promise<void>((resolve, reject) => {
      const login = createLogin(target, (bytes) => socket.write(bytes));
      const timer = setTimeout(
        () => this.#lose(pgError('connectionFailure', `${target.label} did not finish the login in time`)),
        limits.connectTimeoutMs,
      );
      this.#sinks.push({
        onFrame: (type, frame) => {
          if (type === message.authentication) login(frame);
          else if (type === message.backendKeyData) {
            const key = backend.decodeBackendKeyData(frame);
            this.processId = key.processId;
            this.#cancelKey = Buffer.from(key.secret);
          } else if (type === message.errorResponse) {
            const fields = backend.decodeErrorFields(frame);
            this.#lose(new PgError({ ...fields, where: joinWhere(fields.where, target.label) }));
          }
        },
        onReady: () => {
          clearTimeout(timer);
          this.#state = { kind: 'ready' };
          resolve();
        },
        onLost: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      const onFrame = (type: number, frame: Buffer) => this.#onFrame(type, frame);
      const onRow = (bytes: Buffer, start: number, end: number) => this.#sinks[0]?.onRow?.(bytes, start, end) ?? false;
      socket.on('data', (chunk) => {
        try {
          this.#cutter.push(chunk, onFrame, onRow);
        } catch (error) {
          this.#lose(
            error instanceof PgError ? error : pgError('internalError', `answer of ${target.label}: ${String(error)}`),
          );
        }
      });
      socket.on('error', (error) =>
        this.#lose(pgError('connectionFailure', `connection to ${target.label} failed: ${error.message}`)),
      );
      socket.on('close', () =>
        this.#lose(pgError('connectionFailure', `connection to ${target.label} was closed by the server`)),
      );
      socket.write(frontend.encodeStartup(parameters));
    });
  }

  #onFrame(type: number, frame: Buffer): void {
    const sink = this.#sinks[0];
    switch (type) {
      case message.readyForQuery: {
        const status = backend.decodeReadyForQuery(frame);
        this.transactionStatus = status;
        assert(sink !== undefined, 'ReadyForQuery without an exchange');
        this.#sinks.shift();
        sink.onReady(status);
        return;
      }
      case message.notificationResponse: {
        const note = backend.decodeNotification(frame);
        this.onNotification?.(note.processId, note.channel, note.payload);
        return;
      }
      case message.noticeResponse:
        if (frame.subarray(0, maxCodeOffset).includes(keyReportCode)) {
          this.onKeyReport?.(backend.decodeErrorFields(frame).message);
          return;
        }
        if (frame.subarray(0, maxCodeOffset).includes(signalReportCode)) {
          this.onSignalReport?.(backend.decodeErrorFields(frame).message);
          return;
        }
        sink?.onFrame(type, frame);
        return;
      case message.parameterStatus: {
        const parameter = backend.decodeParameterStatus(frame);
        this.parameters.set(parameter.name, parameter.value);
        sink?.onFrame(type, frame);
        return;
      }
      case message.errorResponse:
        if (sink === undefined) {
          // Outside any exchange only a FATAL can come (57P01: the server is shutting down). It is this connection's end, and nobody else's.
          this.#lose(
            pgError(
              'connectionFailure',
              `connection to ${this.target.label} was closed by the server: ${backend.decodeErrorFields(frame).message}`,
            ),
          );
          return;
        }
        sink.onFrame(type, frame);
        return;
      default:
        sink?.onFrame(type, frame);
    }
  }

  #lose(error: PgError): void {
    if (this.#state.kind === 'closed') return;
    this.#state = { kind: 'closed', error };
    this.#socket.destroySoon();
    const sinks = this.#sinks;
    this.#sinks = [];
    for (const sink of sinks) sink.onLost(error);
    this.onClosed?.();
  }
}

/** The SQLSTATE comes after the severity in two forms, of which one may be translated. */
const keyReportCode = '\0CPHKEY\0';
const signalReportCode = '\0CPHSIG\0';
const maxCodeOffset = 96;

/** Parse, Bind, Describe, Execute, Sync of the unnamed statement. Parameters are text unless said otherwise. */
export function encodeExtendedQuery(
  sql: string,
  parameters: readonly (Buffer | null)[],
  parameterFormats: readonly number[],
  resultFormat: 0 | 1,
  parameterOids: readonly number[] = [],
): Buffer {
  return Buffer.concat([
    frontend.encodeParse('', sql, parameterOids),
    frontend.encodeBind({
      portal: '',
      statement: '',
      parameterFormats: [...parameterFormats],
      parameters: [...parameters],
      resultFormats: [resultFormat],
    }),
    frontend.encodeDescribe('P', ''),
    frontend.encodeExecute('', 0),
    frontend.syncMessage,
  ]);
}

/** A server's ErrorResponse, which tells where it comes from. */
export function answeredError(frame: Buffer, { target }: ServerConnection): PgError {
  const fields = backend.decodeErrorFields(frame);
  return new PgError({ ...fields, where: joinWhere(fields.where, target.label) });
}

export function joinWhere(where: string | undefined, label: string): string {
  return where === undefined || where === '' ? `on ${label}` : `${where}\non ${label}`;
}

function createLogin(target: ServerTarget, send: (bytes: Buffer) => void): (frame: Buffer) => void {
  let scram: ScramClient | null = null;
  const refuse = (message: string) =>
    pgError('invalidAuthorizationSpecification', `${target.label} ${message} for user "${target.user}"`);
  const password = () => {
    if (target.secret.kind === 'password') return target.secret.password;
    throw refuse('asks for a password, and none is known');
  };
  return (frame) => {
    const request = backend.decodeAuthentication(frame);
    switch (request.kind) {
      case 'ok':
        return;
      case 'cleartext':
        return send(frontend.encodePassword(password()));
      case 'md5':
        return send(frontend.encodePassword(md5Response(target.user, password(), request.salt)));
      case 'sasl': {
        const { secret } = target;
        if (secret.kind === 'none') throw refuse('asks for a SCRAM login, and no password is known');
        if (!request.mechanisms.includes('SCRAM-SHA-256')) throw refuse('offers no login that pgherd knows');
        scram = new ScramClient(secret, () => randomBytes(18).toString('base64'));
        return send(frontend.encodeSaslInitialResponse('SCRAM-SHA-256', scram.first()));
      }
      case 'saslContinue':
        assert(scram !== null, 'SASL continues before it began');
        return send(frontend.encodeSaslResponse(scram.continue(request.data)));
      case 'saslFinal':
        assert(scram !== null, 'SASL ends before it began');
        if (!scram.verify(request.data)) throw refuse('could not prove that it knows the password');
        return;
      case 'unsupported':
        throw refuse(`asks for authentication method ${request.code}, which pgherd does not know,`);
    }
  };
}

async function connectSocket(target: ServerTarget, signal?: AbortSignal): Promise<net.Socket> {
  const { host, port } = target;
  const plain = host.startsWith('/')
    ? net.connect({ path: `${host}/.s.PGSQL.${port}` })
    : net.connect({ host, port, noDelay: true });
  await settled(plain, 'connect', target, signal);
  if (target.tls === null) return plain;
  plain.write(frontend.encodeSslRequest());
  const answer = await new Promise<number>((resolve, reject) => {
    plain.once('data', (chunk) => resolve(chunk[0] ?? 0));
    plain.once('error', reject);
  });
  if (answer !== 0x53) throw pgError('connectionFailure', `${target.label} does not support TLS`);
  const { ca } = target.tls;
  const secure = tls.connect({
    ...{ socket: plain, host, servername: net.isIP(host) ? '' : host, rejectUnauthorized: ca !== null },
    ...(ca === null ? {} : { ca }),
  });
  await settled(secure, 'secureConnect', target, signal);
  return secure;
}

function settled(
  socket: net.Socket,
  event: 'connect' | 'secureConnect',
  target: ServerTarget,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail('timed out'), limits.connectTimeoutMs);
    const abort = () => fail('was given up');
    const forget = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.removeAllListeners();
    };
    const fail = (why: string) => {
      forget();
      socket.on('error', () => {});
      socket.destroy();
      const where = target.host.startsWith('/') ? target.host : `${target.host}:${target.port}`;
      reject(
        pgError('connectionFailure', `could not connect to ${target.label} (${where}): ${why}`, {
          hint: 'Is the server running? `pgherd status` shows the state of the herd.',
        }),
      );
    };
    signal?.addEventListener('abort', abort, { once: true });
    socket.once(event, () => {
      forget();
      resolve();
    });
    socket.once('error', (error) => fail(error.message));
  });
}
