import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { settled } from '../core/settled.ts';
import type { ChangeStep } from '../plan/plan.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { passToClient } from './exchange.ts';
import { insertStatement } from './insert-rows.ts';
import { watchedExchange } from './instruments.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { forEachBatch } from './row-batches.ts';
import { addTags, RowWindow, runOnAll } from './scatter.ts';
import { joinAll } from './sources.ts';
import { encodePrepared, encodeRendered, keepsPlans, type PreparedBytes, type RenderedSql } from './statement-bytes.ts';

type ChangeShards = Extract<ChangeStep, { kind: 'change shards' }>;

/** UPDATE, DELETE or MERGE on every node that may hold rows, in one transaction. */
export async function changeShards(
  step: ChangeShards,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const { transaction } = context;
  if (step.sites.length > 1)
    transaction.ensureBlock(context.prepared && keepsPlans(transaction) ? beginWithKeptPlans : undefined);
  const connections = await joinAll(step.sites, context);
  for (const site of step.sites) transaction.markWritten(site);
  const rendered = renderTemplate(step.sql, values);
  const runs = connections.map((each) => encodeAgain(each, rendered, context, output));
  const sources = runs.map(({ bytes }, i) => watchedExchange(context, 'final', connections[i]!, { rendered, bytes }));
  try {
    output.complete(addTags(await runOnAll(sources, new RowWindow(output))));
  } catch (error) {
    for (const run of runs) run.failed();
    throw error;
  }
}

/** Planning over all leaves of a table takes longer than a small change. */
const beginWithKeptPlans = 'BEGIN; SET LOCAL plan_cache_mode = force_generic_plan';

/** What the client has prepared stays prepared on the server too. */
function encodeAgain(
  connection: ServerConnection,
  rendered: RenderedSql,
  { prepared, snapshot }: ExecutionContext,
  { resultFormats, wantsDescription }: ClientOutput,
): PreparedBytes {
  if (prepared && !wantsDescription) return encodePrepared(connection, snapshot.version, rendered, resultFormats);
  return { bytes: encodeRendered(rendered, resultFormats, wantsDescription), failed: () => {} };
}

/** A change of a reference table, on the coordinator first: its row locks put concurrent writers in order. */
export async function changeCopies(
  step: Extract<ChangeStep, { kind: 'change copies' }>,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const rendered = renderTemplate(step.sql, values);
  const tag = await onCopies(step.sites, context, output, rendered);
  output.complete(tag);
}

/** The rows are computed once, so that every copy gets the same. */
export async function insertCopies(
  step: Extract<ChangeStep, { kind: 'insert copies' }>,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const { transaction, signal } = context;
  transaction.ensureBlock();
  const coordinator = await transaction.join('coordinator', signal);
  const batches: (readonly Buffer[])[] = [];
  const query = renderTemplate(step.rows, values);
  const computed = watchedExchange(context, 'rows', coordinator, {
    rendered: query,
    bytes: encodeRendered(query, [1], false),
  });
  await forEachBatch(computed, 1_048_576, async (rows) => {
    batches.push(rows);
  });
  const tags: string[] = [];
  const window = new RowWindow(output);
  for (const rows of batches.length > 0 ? batches : [[]]) {
    const rendered = insertStatement(step.head, rows, step.columns, step.tail, values);
    const tag = await onCopies(step.sites, context, window, rendered);
    tags.push(tag);
  }
  output.complete(addTags(tags).replace(/^INSERT( 0)?/, 'INSERT 0'));
}

/** Runs a change on the coordinator, whose answer the client gets, then on every node. */
export async function onCopies(
  sites: readonly Site[],
  context: ExecutionContext,
  output: ClientOutput,
  rendered: RenderedSql,
): Promise<string> {
  const { transaction, signal } = context;
  transaction.ensureBlock();
  const coordinator = await transaction.join('coordinator', signal);
  transaction.markWritten('coordinator');
  const encode = (describe: boolean) => encodeRendered(rendered, output.resultFormats, describe);
  const source = watchedExchange(context, 'final', coordinator, { rendered, bytes: encode(output.wantsDescription) });
  const tag = await passToClient(source, output);
  const nodes = sites.filter((site) => site !== 'coordinator');
  const connections = await joinAll(nodes, context);
  for (const node of nodes) transaction.markWritten(node);
  const copies = connections.map((each) => watchedExchange(context, 'final', each, { rendered, bytes: encode(false) }));
  await settled(copies.map((copy) => copy.run(() => {})));
  return tag;
}
