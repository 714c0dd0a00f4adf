import type { ExplainedPlan, ExplainedStep, StepName } from './explain.ts';
import type { ExplainOptions } from './explain-options.ts';

/** All that EXPLAIN tells of a statement. */
export interface ExplainReport {
  readonly plan: ExplainedPlan;
  readonly options: ExplainOptions;
  /** `$1 = '5'::integer`. */
  readonly parameters: readonly string[];
  readonly steps: StepReports;
  readonly planningMs: number;
  /** Null: the statement was not run. */
  readonly executionMs: number | null;
}

/** What the servers told, by the step's path. */
export type StepReports = ReadonlyMap<string, StepReport>;

export interface StepReport {
  /** What each server did, when the statement ran. */
  readonly tasks: readonly TaskFigures[];
  /** From the start of the first task to the end of the last. */
  readonly timeMs: number;
  /** Where a motion's rows were kept. */
  readonly kept: 'memory' | 'temporary table' | null;
  /** Plans of the servers' own, of one task or of all. */
  readonly samples: readonly SamplePlan[];
}

export interface TaskFigures {
  /** As in messages: `coordinator`, `node 1 (worker1)`. */
  readonly server: string;
  readonly rows: number;
  /** Of row messages; null: the rows stayed on the server. */
  readonly bytes: number | null;
  readonly timeMs: number;
  /** Rows that the command says it has changed. */
  readonly changed: number | null;
}

export interface SamplePlan {
  readonly server: string;
  readonly plan: ServerPlan;
}

export type ServerPlan =
  | { readonly kind: 'text'; readonly lines: readonly string[] }
  | { readonly kind: 'json'; readonly document: JsonObject }
  /** The server did not explain it. */
  | { readonly kind: 'none'; readonly reason: string };

export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export function stepPath(within: string, name: StepName): string {
  return `${within}${name}`;
}

/** `One of 3`, as Citus says it. */
export function tasksShown(taskCount: number, shown: number): string {
  return shown >= taskCount ? 'All' : `${shown === 1 ? 'One' : shown} of ${taskCount}`;
}

/** On how many servers a step runs: known beforehand, or from its run. */
export function taskCount(step: ExplainedStep, report: StepReport | undefined): number {
  const ran = report?.tasks.length ?? 0;
  return ran > 0 ? ran : (step.sites?.length ?? 0);
}

export function sumOf(tasks: readonly TaskFigures[], figure: 'rows' | 'bytes' | 'changed'): number | null {
  const known = tasks.flatMap((task) => task[figure] ?? []);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0);
}

export function milliseconds(value: number): number {
  return Number(value.toFixed(3));
}

/** Rows that came from nodes over the whole statement, in bytes. */
export function receivedBytes(reports: StepReports): number {
  return [...reports.values()]
    .flatMap(({ tasks }) => tasks)
    .reduce((sum, { server, bytes }) => sum + (server === 'coordinator' ? 0 : (bytes ?? 0)), 0);
}
