import type { Log } from '../core/log.ts';
import { type MeasuredStatement, QueryTrends, type StatementTrend } from './query-trends.ts';
import type { RouterReadings } from './router-readings.ts';
import { type Sample, sampleBetween, type TimedReadings } from './samples.ts';
import { eventJson } from './sinks.ts';
import type { Look, Watch } from './watch.ts';

export interface ObservatoryOptions {
  readonly watch: Watch;
  readonly readings: () => RouterReadings;
  readonly measured: () => Promise<readonly MeasuredStatement[]>;
  readonly log: Log;
  /** Between looks at the cluster. While somebody watches, it is looked at as often as samples are taken. */
  readonly lookMs: number;
  readonly sampleMs: number;
}

const maxSamples = 720;
/** How often a node's replication lag and the like are remembered, so many times. */
const maxLooks = 240;
const maxTrends = 50;

/** What a router's process knows of its cluster: looks and samples, now and for a while back. It goes on whatever fails. */
export class Observatory {
  readonly #options: ObservatoryOptions;
  #last: Look | null = null;
  #samples: Sample[] = [];
  #lags: LagSample[] = [];
  readonly #trends = new QueryTrends(maxTrends);
  #before: TimedReadings | null = null;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  readonly #listeners = new Set<() => void>();

  constructor(options: ObservatoryOptions) {
    this.#options = options;
  }

  get last(): Look | null {
    return this.#last;
  }

  /** The oldest first. */
  get samples(): readonly Sample[] {
    return this.#samples;
  }

  get statements(): readonly StatementTrend[] {
    return this.#trends.statements;
  }

  get lags(): readonly LagSample[] {
    return this.#lags;
  }

  open(): void {
    this.#timer = setInterval(() => this.#tick(), this.#options.sampleMs);
    this.#timer.unref();
    this.#tick();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#listeners.clear();
  }

  /** Called after each sample. Gives what ends it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#tick();
    return () => this.#listeners.delete(listener);
  }

  #tick(): void {
    const now = { atMs: Date.now(), readings: this.#options.readings() };
    if (this.#before !== null && now.atMs - this.#before.atMs >= this.#options.sampleMs / 2) {
      this.#samples = [...this.#samples.slice(1 - maxSamples), sampleBetween(this.#before, now)];
      this.#before = now;
    }
    this.#before ??= now;
    const dueMs = this.#listeners.size > 0 ? this.#options.sampleMs : this.#options.lookMs;
    const isDue = this.#last === null || now.atMs - this.#last.observation.atMs >= dueMs - 100;
    if (isDue && this.#looking === null) {
      this.#looking = this.#look(now.atMs).finally(() => {
        this.#looking = null;
      });
    } else this.#tell();
  }

  async #look(atMs: number): Promise<void> {
    const { watch, log } = this.#options;
    const look = await watch.look(atMs);
    if (this.#timer === null) return;
    const measured = await this.#options.measured().catch(() => null);
    if (measured !== null) this.#trends.note(measured, atMs);
    this.#last = look;
    this.#lags = [...this.#lags.slice(1 - maxLooks), lagSample(look)];
    for (const event of look.events) {
      const { message, ...fields } = eventJson(event, 'en');
      log[event.kind === 'begin' ? 'warn' : 'info']({ alert: fields }, message);
    }
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

export interface LagSample {
  readonly atMs: number;
  /** By server and standby: how many bytes replay is behind. */
  readonly bytes: Readonly<Record<string, number>>;
}

function lagSample({ observation: { atMs, servers } }: Look): LagSample {
  const found = servers.kind === 'seen' ? servers.value : [];
  const bytes = found.flatMap(({ name, answer }) =>
    answer.kind === 'facts'
      ? answer.facts.standbys.map((standby) => [`${name}/${standby.name}`, standby.replayBytes ?? 0] as const)
      : [],
  );
  return { atMs, bytes: Object.fromEntries(bytes) };
}
