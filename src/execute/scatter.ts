import type { ServerConnection } from '../backend/server-connection.ts';
import { settled } from '../core/settled.ts';
import type { FinalStep } from '../plan/plan.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { type AnswerSource, passToClient } from './exchange.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { sourcesOf } from './sources.ts';

/** The same SQL on several nodes in parallel; rows go to the client as they come, at most as many as the plan allows. */
export async function scatterToClient(
  final: Extract<FinalStep, { kind: 'scatter' }>,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const fragment = {
    rendered: renderTemplate(final.sql, values),
    resultFormats: output.resultFormats,
    describe: output.wantsDescription,
  };
  const sources = await sourcesOf(final.sites, fragment, context);
  const window = new RowWindow(output, final.offsetRows, final.limitRows);
  await runOnAll(sources, window);
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
export class RowWindow implements ClientOutput {
  readonly #output: ClientOutput;
  readonly #offset: number;
  readonly #limit: number;
  #described = false;
  #seen = 0;

  constructor(output: ClientOutput, offset = 0, limit: number | null = null) {
    this.#output = output;
    this.#offset = offset;
    this.#limit = limit ?? Number.POSITIVE_INFINITY;
  }

  get wantsDescription(): boolean {
    return this.#output.wantsDescription;
  }

  get resultFormats(): readonly number[] {
    return this.#output.resultFormats;
  }

  get passed(): number {
    return Math.max(0, Math.min(this.#seen - this.#offset, this.#limit));
  }

  describe(frame: Buffer): void {
    if (this.#described) return;
    this.#described = true;
    this.#output.describe(frame);
  }

  row(frame: Buffer): void {
    this.#seen += 1;
    if (this.#seen > this.#offset && this.#seen - this.#offset <= this.#limit) this.#output.row(frame);
  }

  complete(): void {}

  pass(frame: Buffer): void {
    this.#output.pass(frame);
  }

  attach(source: ServerConnection): void {
    this.#output.attach(source);
  }

  detach(source: ServerConnection): void {
    this.#output.detach(source);
  }

  copyIn(frame: Buffer, connection: ServerConnection): void {
    this.#output.copyIn(frame, connection);
  }
}
