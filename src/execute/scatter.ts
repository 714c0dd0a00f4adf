import { settled } from '../core/settled.ts';
import type { FinalStep } from '../plan/plan.ts';
import { type ClientOutput, PassingOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { type AnswerSource, passToClient } from './exchange.ts';
import type { TemplateValues } from './render-template.ts';
import { sourcesOf } from './sources.ts';

type Scatter = Extract<FinalStep, { kind: 'scatter' }>;

/** The same SQL on several nodes in parallel; rows go to the client as they come, at most as many as the plan allows. */
export async function scatterToClient(
  final: Scatter,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const answer = { resultFormats: output.resultFormats, describe: output.wantsDescription };
  if (final.inTurn) return scatterInTurn(final, values, context, output);
  const sources = await sourcesOf('final', final.sites, final.sql, values, answer, context);
  const window = new RowWindow(output, final.offsetRows, final.limitRows);
  await runOnAll(sources, window);
  output.complete(`SELECT ${window.passed}`);
}

/** Rows that are locked: no node is asked for more than are still wanted, so that others may have the rest. */
async function scatterInTurn(
  { sites, sql, offsetRows, limitRows }: Scatter,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const window = new RowWindow(output, offsetRows, limitRows);
  for (const [i, site] of sites.entries()) {
    const left = offsetRows + (limitRows ?? 0) - window.seen;
    // The first one describes the rows, and knows what is wrong with the statement.
    if (left <= 0 && i > 0) break;
    const template = sql.map((part) => (typeof part === 'object' && 'rowsLeft' in part ? String(left) : part));
    const answer = { resultFormats: output.resultFormats, describe: output.wantsDescription };
    await runOnAll(await sourcesOf('final', [site], template, values, answer, context), window);
  }
  output.complete(`SELECT ${window.passed}`);
}

/** Passes the answers of several servers to the client; gives the tags. */
export function runOnAll(sources: readonly AnswerSource[], output: ClientOutput): Promise<string[]> {
  return settled(sources.map((source) => passToClient(source, output)));
}

/** `UPDATE 3` and `UPDATE 4` → `UPDATE 7`. */
export function addTags(tags: readonly string[]): string {
  const [first = ''] = tags;
  const verb = first.replace(/ \d+$/, '');
  const total = tags.reduce((sum, tag) => sum + Number(/ (\d+)$/.exec(tag)?.[1] ?? 0), 0);
  return `${verb} ${total}`;
}

/** Passes on one description and a window of the rows that several servers send. */
export class RowWindow extends PassingOutput {
  readonly #offset: number;
  readonly #limit: number;
  #described = false;
  #seen = 0;

  constructor(output: ClientOutput, offset = 0, limit: number | null = null) {
    super(output);
    this.#offset = offset;
    this.#limit = limit ?? Number.POSITIVE_INFINITY;
  }

  get seen(): number {
    return this.#seen;
  }

  get passed(): number {
    return Math.max(0, Math.min(this.#seen - this.#offset, this.#limit));
  }

  override describe(frame: Buffer): void {
    if (this.#described) return;
    this.#described = true;
    this.output.describe(frame);
  }

  override row(frame: Buffer): void {
    this.#seen += 1;
    if (this.#seen > this.#offset && this.#seen - this.#offset <= this.#limit) this.output.row(frame);
  }
}
