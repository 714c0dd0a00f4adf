import type { SqlRunner } from '../core/runner.ts';
import { type ActiveAlerts, type AlertEvent, advance, noAlerts } from './alerts.ts';
import { type AnswerTimes, withMedians } from './answer-times.ts';
import { type CollectOptions, collect, type Statements } from './collect.ts';
import { findingsOf, type Memory, noMemory, remember } from './findings.ts';
import type { Observation } from './observation.ts';
import type { Rules } from './rules.ts';

export interface Look {
  readonly observation: Observation;
  readonly active: ActiveAlerts;
  readonly events: readonly AlertEvent[];
}

/** Looks at a cluster time and again, and knows which alerts are open. */
export class Watch {
  readonly #runner: SqlRunner;
  readonly #rules: Rules;
  readonly #options: CollectOptions;
  #memory: Memory = noMemory;
  #answerTimes: AnswerTimes = new Map();
  #active: ActiveAlerts = noAlerts;
  readonly #statementsMs: number;
  #statements: (Statements & { readonly atMs: number }) | null = null;

  /** `statementsMs`: how long what servers say of statements holds. */
  constructor(runner: SqlRunner, rules: Rules, options: CollectOptions, statementsMs = 0) {
    this.#statementsMs = statementsMs;
    this.#runner = runner;
    this.#rules = rules;
    this.#options = options;
  }

  /** Never rejects: what could not be seen is part of what it gives. */
  async look(atMs: number): Promise<Look> {
    const isFresh = this.#statements !== null && atMs - this.#statements.atMs < this.#statementsMs;
    const found = await collect(this.#runner, atMs, this.#options, isFresh ? this.#statements : null);
    const { observation, times } = withMedians(found, this.#answerTimes);
    this.#answerTimes = times;
    if (!isFresh) this.#statements = { atMs, statements: observation.statements, slowQueries: observation.slowQueries };
    this.#memory = remember(this.#memory, observation, this.#rules);
    const { active, events } = advance(this.#active, findingsOf(observation, this.#rules, this.#memory), observation);
    this.#active = active;
    return { observation, active, events };
  }
}
