import type { ServerConnection } from '../backend/server-connection.ts';
import { insidePlan, type StepName } from '../plan/explain.ts';
import type { ExplainOptions } from '../plan/explain-options.ts';
import { type SamplePlan, type StepReport, stepPath, type TaskFigures } from '../plan/explain-report.ts';
import { decodeCommandComplete } from '../wire/backend.ts';
import { backend as message } from '../wire/message-types.ts';
import type { AnswerSource } from './exchange.ts';
import type { Instruments } from './instruments.ts';
import { OpenedExchange } from './opened-exchange.ts';
import { explainOn, rowsOf, sampleOn } from './server-explain.ts';
import type { RenderedSql } from './statement-bytes.ts';

export interface WatchOptions {
  readonly explain: ExplainOptions;
  /** Each server's plan is wanted, not only one's of each step. */
  readonly allServers: boolean;
  /** A sample may run what the statement runs, since that is rolled back; not where triggers may act on something else. */
  mayRepeat(step: StepName): boolean;
  /** A server as the report calls it, by its name in messages. */
  serverName(label: string): string;
  /** Milliseconds, from any origin. */
  now(): number;
}

type Task = { -readonly [K in keyof TaskFigures]: TaskFigures[K] };

interface Watched {
  readonly tasks: Map<string, Task>;
  readonly samples: SamplePlan[];
  readonly sampled: Set<string>;
  startedAtMs: number;
  endedAtMs: number;
  kept: StepReport['kept'];
}

/**
 * Counts what the steps of one statement do. A sample plan is had by running the step's statement once more on one server, in a
 * savepoint that is rolled back: just before the statement itself, or after all where a snapshot has been taken already.
 */
export class RunWatch implements Instruments {
  readonly answerIsDiscarded: boolean;
  readonly #options: WatchOptions;
  readonly #within: string;
  readonly #steps: Map<string, Watched>;
  readonly #later: (() => Promise<void>)[];

  constructor(options: WatchOptions, parent: RunWatch | null = null, within = '') {
    this.#options = options;
    this.#within = within;
    this.#steps = parent === null ? new Map() : parent.#steps;
    this.#later = parent === null ? [] : parent.#later;
    this.answerIsDiscarded = parent === null;
  }

  inside(name: string): Instruments {
    return new RunWatch(this.#options, this, insidePlan(this.#within, name));
  }

  watch(step: StepName, source: AnswerSource, rendered: RenderedSql): AnswerSource {
    const watched = this.#step(step);
    const { connection } = source;
    const task = this.#task(watched, connection, true);
    const sample = this.#wantsSample(watched, connection) ? () => this.#sample(step, connection, rendered) : null;
    const isOpened = source instanceof OpenedExchange;
    if (sample !== null && isOpened) this.#later.push(sample);
    return {
      connection,
      run: async (handler) => {
        if (sample !== null && !isOpened) await sample();
        await this.#timed(watched, task, () =>
          source.run((type, frame) => {
            count(task, type, frame);
            handler(type, frame);
          }),
        );
      },
    };
  }

  async explain(step: StepName, connection: ServerConnection, rendered: RenderedSql): Promise<string> {
    const watched = this.#step(step);
    const task = this.#task(watched, connection, false);
    await this.#timed(watched, task, async () => {
      const plan = await explainOn(connection, rendered, this.#options.explain, true);
      task.rows = rowsOf(plan, 'actual') ?? 0;
      watched.samples.push({ server: task.server, plan });
    });
    return 'EXPLAIN';
  }

  kept(step: StepName, where: 'memory' | 'temporary table'): void {
    this.#step(step).kept = where;
  }

  /** Plans of what ran on snapshots taken beforehand. */
  async sampleLater(): Promise<void> {
    for (const sample of this.#later.splice(0)) await sample();
  }

  reports(): ReadonlyMap<string, StepReport> {
    return new Map(
      [...this.#steps].map(([path, { tasks, samples, startedAtMs, endedAtMs, kept }]) => [
        path,
        { tasks: [...tasks.values()], samples, kept, timeMs: Math.max(0, endedAtMs - startedAtMs) },
      ]),
    );
  }

  #step(name: StepName): Watched {
    const path = stepPath(this.#within, name);
    const known = this.#steps.get(path);
    if (known !== undefined) return known;
    const step: Watched = {
      ...{ tasks: new Map(), samples: [], sampled: new Set<string>() },
      ...{ startedAtMs: Number.POSITIVE_INFINITY, endedAtMs: 0, kept: null },
    };
    this.#steps.set(path, step);
    return step;
  }

  #task({ tasks }: Watched, { target }: ServerConnection, travels: boolean): Task {
    const known = tasks.get(target.label);
    if (known !== undefined) return known;
    const server = this.#options.serverName(target.label);
    const task: Task = { server, rows: 0, bytes: travels ? 0 : null, timeMs: 0, changed: null };
    tasks.set(target.label, task);
    return task;
  }

  #wantsSample({ sampled }: Watched, { target }: ServerConnection): boolean {
    if (sampled.has(target.label) || (sampled.size > 0 && !this.#options.allServers)) return false;
    sampled.add(target.label);
    return true;
  }

  async #sample(step: StepName, connection: ServerConnection, rendered: RenderedSql): Promise<void> {
    const { explain, mayRepeat } = this.#options;
    const plan = await sampleOn(connection, rendered, explain, mayRepeat(step));
    this.#step(step).samples.push({ server: this.#options.serverName(connection.target.label), plan });
  }

  async #timed(watched: Watched, task: Task, run: () => Promise<void>): Promise<void> {
    const start = this.#options.now();
    watched.startedAtMs = Math.min(watched.startedAtMs, start);
    try {
      await run();
    } finally {
      const end = this.#options.now();
      task.timeMs += end - start;
      watched.endedAtMs = Math.max(watched.endedAtMs, end);
    }
  }
}

function count(task: Task, type: number, frame: Buffer): void {
  if (type === message.dataRow) {
    task.rows += 1;
    task.bytes = (task.bytes ?? 0) + frame.length;
  } else if (type === message.commandComplete) {
    const changed = /^(?:INSERT 0|UPDATE|DELETE|MERGE) (\d+)$/.exec(decodeCommandComplete(frame));
    if (changed !== null) task.changed = (task.changed ?? 0) + Number(changed[1]);
  }
}
