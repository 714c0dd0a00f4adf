import { type ChildProcess, fork } from 'node:child_process';
import net from 'node:net';
import { extname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PgError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import type { Log } from '../../core/log.ts';
import type { RouterReadings } from '../../monitor/router-readings.ts';
import type { PeerQuestion } from '../../session/peers.ts';
import { openHttp, type RunningHttp } from '../http.ts';
import type { RouterOptions, RunningRouter } from '../serve.ts';
import type { AnyAnswer, FromWorker, ToWorker } from './messages.ts';
import { sumReadings } from './readings.ts';

const restartMs = 500;
const stopWaitMs = 10_000;

interface Worker {
  readonly slot: number;
  readonly child: ChildProcess;
  accepting: boolean;
  readings: RouterReadings | null;
}

/** A question of one worker, and who has not answered it yet. */
interface Inquiry {
  readonly asker: Worker;
  readonly id: number;
  readonly missing: Set<Worker>;
  readonly answers: AnyAnswer[];
}

/**
 * A router of several processes: this one listens, hands each client to a worker in turn, passes what workers ask of each other, and starts a
 * worker anew that has died. The workers are to each other what routers of one herd are: the fence between them is a lock on the coordinator.
 */
export class WorkerSupervisor {
  readonly #options: RouterOptions;
  readonly #count: number;
  readonly #log: Log;
  readonly #server = net.createServer({ pauseOnConnect: true }, (socket) => this.#give(socket));
  /** By slot. */
  readonly #workers: (Worker | undefined)[] = [];
  readonly #inquiries = new Map<number, Inquiry>();
  #lastInquiry = 0;
  #port = 0;
  #next = 0;
  /** Clients that came before any worker could take them. */
  #early: net.Socket[] = [];
  #stopping = false;
  #http: RunningHttp | null = null;

  constructor(options: RouterOptions, count: number) {
    this.#options = options;
    this.#count = count;
    this.#log = options.log;
  }

  /** The first worker prepares the herd; the others find it prepared. */
  async open(): Promise<RunningRouter> {
    try {
      this.#port = await this.#listen();
      await this.#start(0, true);
      await Promise.all(Array.from({ length: this.#count - 1 }, (_, index) => this.#start(index + 1, false)));
      const { http } = this.#options;
      const router = { port: this.#port, readings: this.#readings };
      if (http !== undefined) this.#http = await openHttp(http, this.#options, router);
    } catch (error) {
      await this.stop();
      throw error;
    }
    return { port: this.#port, httpPort: this.#http?.port ?? null, readings: this.#readings, stop: () => this.stop() };
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#http?.close();
    this.#server.close();
    for (const socket of this.#early.splice(0)) socket.destroy();
    await Promise.all(this.#workers.map((worker) => worker && stopWorker(worker)));
  }

  /** Resolves when the worker is ready. */
  #start(slot: number, isFirst: boolean): Promise<void> {
    const child = fork(program, [], {
      execArgv: loaderArguments(),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    const worker: Worker = { slot, child, accepting: false, readings: null };
    this.#workers[slot] = worker;
    const { log: _, http: __, ...options } = this.#options;
    const share = Math.ceil(options.maxConnectionsPerPool / this.#count);
    tell(worker, {
      ...{ kind: 'start', slot, isFirst, port: this.#port },
      options: { ...options, sharesHerd: true, maxConnectionsPerPool: share },
    });
    return new Promise((resolve, reject) => {
      child.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') resolve();
        else if (message.kind === 'failed') reject(errorOf(message));
        else this.#onMessage(worker, message);
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        this.#onExit(worker, signal ?? `exit code ${code}`, isFirst);
        reject(new Error(`worker ${slot} ended before it was ready: ${signal ?? `exit code ${code}`}`));
      });
    });
  }

  #onMessage(worker: Worker, message: Exclude<FromWorker, { kind: 'ready' | 'failed' }>): void {
    switch (message.kind) {
      case 'accepting':
        worker.accepting = true;
        for (const socket of this.#early.splice(0)) this.#give(socket);
        return;
      case 'log':
        this.#log[message.level]({ worker: worker.slot, ...message.fields }, message.message);
        return;
      case 'readings':
        worker.readings = message.readings;
        return;
      case 'ask':
        this.#ask(worker, message.id, message.question);
        return;
      case 'answer':
        this.#take(message.id, worker, message.answer?.value);
        return;
      case 'cancel': {
        const holder = this.#workers[message.slot];
        if (holder !== undefined) tell(holder, message);
        return;
      }
    }
  }

  #ask(asker: Worker, id: number, question: PeerQuestion): void {
    const others = this.#workers.filter((each) => each !== undefined && each !== asker) as Worker[];
    this.#lastInquiry += 1;
    const inquiry = { asker, id, missing: new Set(others), answers: [] };
    this.#inquiries.set(this.#lastInquiry, inquiry);
    for (const other of others) tell(other, { kind: 'asked', id: this.#lastInquiry, question });
    this.#settle(this.#lastInquiry, inquiry);
  }

  /** undefined: the worker has no answer. */
  #take(number: number, worker: Worker, answer: AnyAnswer | undefined): void {
    const inquiry = this.#inquiries.get(number);
    if (inquiry === undefined || !inquiry.missing.delete(worker)) return;
    if (answer !== undefined) inquiry.answers.push(answer);
    this.#settle(number, inquiry);
  }

  #settle(number: number, { asker, id, missing, answers }: Inquiry): void {
    if (missing.size > 0) return;
    this.#inquiries.delete(number);
    tell(asker, { kind: 'answers', id, answers });
  }

  #onExit(worker: Worker, how: string, isFirst: boolean): void {
    const { slot, accepting } = worker;
    if (this.#workers[slot] !== worker) return;
    this.#workers[slot] = undefined;
    for (const number of [...this.#inquiries.keys()]) this.#take(number, worker, undefined);
    if (this.#stopping || !accepting) return;
    this.#log.error({ worker: slot, how }, 'a worker of the router has died; starting it anew');
    for (const other of this.#workers) if (other) tell(other, { kind: 'asked', id: 0, question: { kind: 'recover' } });
    void this.#startAgain(slot, isFirst);
  }

  async #startAgain(slot: number, isFirst: boolean): Promise<void> {
    while (!this.#stopping) {
      try {
        return await this.#start(slot, isFirst);
      } catch (error) {
        // One that accepted clients before it died has its own restart.
        if (this.#stopping || this.#workers[slot] !== undefined) return;
        this.#log.error({ worker: slot, error: String(error) }, 'a worker of the router does not start; trying again');
        await sleep(restartMs);
      }
    }
  }

  readonly #readings = (): RouterReadings =>
    sumReadings(this.#workers.flatMap((worker) => (worker?.readings ? [worker.readings] : [])));

  /** To each worker in turn. */
  #give(socket: net.Socket): void {
    const worker = this.#nextWorker();
    if (worker !== null) hand(worker, socket);
    else if (this.#stopping || this.#early.length >= limits.maxClients) socket.destroy();
    else this.#early.push(socket);
  }

  /** null: none can take clients now. */
  #nextWorker(): Worker | null {
    for (let tries = 0; tries < this.#count; tries++) {
      const worker = this.#workers[this.#next];
      this.#next = (this.#next + 1) % this.#count;
      if (worker?.accepting && worker.child.connected) return worker;
    }
    return null;
  }

  #listen(): Promise<number> {
    const { host, port } = this.#options.listen;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => resolve((this.#server.address() as net.AddressInfo).port));
    });
  }
}

const program = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url));

/** With our own flags; TypeScript as it stands needs its loader. */
function loaderArguments(): string[] {
  const needsLoader = program.endsWith('.ts') && !process.execArgv.some((argument) => argument.includes('tsx'));
  return [...process.execArgv, ...(needsLoader ? ['--import', 'tsx'] : [])];
}

function tell({ child }: Worker, message: ToWorker): void {
  // It may have died this moment; its exit is told.
  if (child.connected) child.send(message, () => {});
}

function hand({ child }: Worker, socket: net.Socket): void {
  const message: ToWorker = { kind: 'client' };
  socket.on('error', () => {});
  child.send(message, socket, (error) => {
    if (error) socket.destroy();
  });
}

function errorOf({ message, code, hint }: Extract<FromWorker, { kind: 'failed' }>): Error {
  return code === '' ? new Error(message) : new PgError({ severity: 'FATAL', code, message, hint });
}

async function stopWorker(worker: Worker): Promise<void> {
  const { child } = worker;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  tell(worker, { kind: 'stop' });
  const timer = setTimeout(() => child.kill('SIGKILL'), stopWaitMs);
  await gone;
  clearTimeout(timer);
}
