import type { ServerConnection } from '../backend/server-connection.ts';
import type { StepName } from '../plan/explain.ts';
import type { ExecutionContext } from './context.ts';
import { type AnswerSource, exchangeSource } from './exchange.ts';
import type { RenderedSql } from './statement-bytes.ts';

/** What EXPLAIN ANALYZE learns of a run. Without it in the context nothing is counted. */
export interface Instruments {
  /** The same answer, its rows, bytes and time counted under the step's name and the server. */
  watch(step: StepName, source: AnswerSource, rendered: RenderedSql): AnswerSource;
  /** Nobody looks at the rows of the statement's own answer, so one server's statement may run as EXPLAIN ANALYZE itself. */
  readonly answerIsDiscarded: boolean;
  /** Runs a statement so; gives the command tag. */
  explain(step: StepName, connection: ServerConnection, rendered: RenderedSql): Promise<string>;
  /** How a motion's rows were kept. */
  kept(step: StepName, where: 'memory' | 'temporary table'): void;
  /** For a plan inside this one, whose steps have names of their own. */
  inside(name: string): Instruments;
}

/** The answer to one exchange that runs `rendered`, watched when the context says so. */
export function watchedExchange(
  context: ExecutionContext,
  step: StepName,
  connection: ServerConnection,
  { rendered, bytes }: { readonly rendered: RenderedSql; readonly bytes: Buffer },
): AnswerSource {
  return watched(context, step, exchangeSource(connection, bytes), rendered);
}

export function watched(
  { instruments }: ExecutionContext,
  step: StepName,
  source: AnswerSource,
  rendered: RenderedSql,
): AnswerSource {
  return instruments === undefined ? source : instruments.watch(step, source, rendered);
}
