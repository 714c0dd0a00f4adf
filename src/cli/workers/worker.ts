// The process of one worker: started by `supervisor.ts`, which sends it options and clients over the channel between them.
import net from 'node:net';
import { PgError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { PeerAnswers, PeerQuestion, Peers } from '../../session/peers.ts';
import { type RunningRouter, startRouter } from '../serve.ts';
import type { AnyAnswer, FromWorker, ToWorker, WorkerStart } from './messages.ts';
import type { Answerer, WorkerPlace } from './place.ts';

/** How old what the HTTP listener shows may be. */
const readingsMs = 1_000;

type Asked = Extract<ToWorker, { kind: 'asked' }>;

class WorkerProcess implements Peers {
  readonly #log: Log = { debug: logAs('debug'), info: logAs('info'), warn: logAs('warn'), error: logAs('error') };
  /** Questions of this worker that wait for their answers. */
  readonly #waiting = new Map<number, (answers: readonly AnyAnswer[]) => void>();
  #lastQuestion = 0;
  #answerer: Answerer | null = null;
  /** Questions of others that came before this worker could answer. */
  #early: Asked[] = [];
  #onSocket: (socket: net.Socket) => void = (socket) => socket.destroy();
  #onCancel: (processId: number, secret: Buffer) => void = () => {};
  #running: RunningRouter | null = null;

  listen(): void {
    // The supervisor says when to stop; a signal of the terminal's reaches it too.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
    process.on('disconnect', () => process.exit(1));
    process.on('uncaughtException', (error) => {
      this.#log.error({ error: error.stack ?? String(error) }, 'a fault of pgherd; the worker ends');
      setImmediate(() => process.exit(1));
    });
    process.on('message', (message: ToWorker, handle: unknown) => this.#onMessage(message, handle));
  }

  ask<Q extends PeerQuestion>(question: Q): Promise<readonly PeerAnswers[Q['kind']][]> {
    this.#lastQuestion += 1;
    const id = this.#lastQuestion;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve as (answers: readonly AnyAnswer[]) => void);
      tell({ kind: 'ask', id, question });
    });
  }

  cancel(slot: number, processId: number, secret: Buffer): void {
    tell({ kind: 'cancel', slot, processId, secret });
  }

  #onMessage(message: ToWorker, handle: unknown): void {
    switch (message.kind) {
      case 'start':
        this.#start(message).catch(fail);
        return;
      case 'client':
        // Without one, the client has left on the way.
        if (handle instanceof net.Socket) this.#onSocket(handle);
        return;
      case 'asked':
        if (this.#answerer === null) this.#early.push(message);
        else void this.#answer(message, this.#answerer);
        return;
      case 'answers':
        this.#waiting.get(message.id)?.(message.answers);
        this.#waiting.delete(message.id);
        return;
      case 'cancel':
        this.#onCancel(message.processId, Buffer.from(message.secret));
        return;
      case 'stop':
        void this.#stop();
        return;
    }
  }

  async #start({ slot, options, port, isFirst }: WorkerStart): Promise<void> {
    const relayPort = await openRelay((socket) => this.#onSocket(socket));
    const place: WorkerPlace = {
      slot,
      peers: this,
      port,
      tells: isFirst,
      relayPort,
      answersWith: (answerer, cancel) => {
        this.#answerer = answerer;
        this.#onCancel = cancel;
        for (const question of this.#early.splice(0)) void this.#answer(question, answerer);
      },
      accept: (onSocket) => {
        this.#onSocket = onSocket;
        tell({ kind: 'accepting' });
      },
    };
    this.#running = await startRouter({ ...options, log: this.#log }, place);
    tell({ kind: 'ready' });
    const { readings } = this.#running;
    setInterval(() => tell({ kind: 'readings', readings: readings() }), readingsMs).unref();
  }

  async #answer({ id, question }: Asked, answerer: Answerer): Promise<void> {
    try {
      tell({ kind: 'answer', id, answer: { value: await answerer(question) } });
    } catch (error) {
      this.#log.warn({ error: String(error), question: question.kind }, 'could not answer another worker');
      tell({ kind: 'answer', id, answer: null });
    }
  }

  async #stop(): Promise<void> {
    await this.#running?.stop();
    process.exit(0);
  }
}

/** Where other workers hand on clients that came to them and belong here. */
function openRelay(onSocket: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ pauseOnConnect: true }, onSocket);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as net.AddressInfo).port));
  });
}

function fail(error: Error): void {
  const fields = error instanceof PgError ? error.fields : { code: '', hint: '' };
  const failure = { kind: 'failed', message: error.message, code: fields.code, hint: fields.hint ?? '' } as const;
  process.send?.(failure, undefined, undefined, () => process.exit(1));
}

function logAs(level: 'debug' | 'info' | 'warn' | 'error') {
  return (fields: object, message: string) => tell({ kind: 'log', level, fields, message });
}

function tell(message: FromWorker): void {
  // The supervisor may be gone; then so are we.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

new WorkerProcess().listen();
