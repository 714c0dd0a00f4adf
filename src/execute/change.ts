import type { Site } from '../catalog/site.ts';
import { pgError } from '../core/errors.ts';
import { settled } from '../core/settled.ts';
import type { ChangeStep } from '../plan/plan.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { passToClient } from './exchange.ts';
import { addEntries, globalIndexesOf, removeEntries, returningIndexed } from './global-index.ts';
import { IndexedOutput, withIndexedReturning } from './indexed-output.ts';
import { hasReturning, insertStatement } from './insert-rows.ts';
import { watchedExchange } from './instruments.ts';
import { gatherRows } from './motion.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { forEachBatch } from './row-batches.ts';
import { addTags, RowWindow, runOnAll } from './scatter.ts';
import { joinAll, plainSources } from './sources.ts';
import { encodeRendered, type RenderedSql } from './statement-bytes.ts';

type ChangeShards = Extract<ChangeStep, { kind: 'change shards' }>;

/** UPDATE, DELETE or MERGE on every node that may hold rows, in one transaction. */
export async function changeShards(
  step: ChangeShards,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const { transaction } = context;
  if (step.sites.length > 1 || touchesGlobalIndex(step)) transaction.ensureBlock();
  const before = await entriesBefore(step, values, context);
  const connections = await joinAll(step.sites, context);
  for (const site of step.sites) transaction.markWritten(site);
  if (!touchesGlobalIndex(step)) {
    const rendered = renderTemplate(step.sql, values);
    const bytes = encodeRendered(rendered, output.resultFormats, output.wantsDescription);
    const sources = connections.map((each) => watchedExchange(context, 'final', each, { rendered, bytes }));
    return output.complete(addTags(await runOnAll(sources, new RowWindow(output))));
  }
  const sql = withIndexedReturning(step.sql, step.table);
  const sink = new IndexedOutput(new RowWindow(output), step.table, !hasReturning(step.sql));
  const rendered = renderTemplate(sql, values);
  const bytes = encodeRendered(rendered, sink.resultFormats, output.wantsDescription);
  const sources = connections.map((each) => watchedExchange(context, 'final', each, { rendered, bytes }));
  const tags = await runOnAll(sources, sink);
  if (step.command === 'DELETE') await removeEntries(step.table, sink.entries, context);
  else {
    if (before.length !== sink.entries.length) {
      throw pgError('serializationFailure', 'rows changed while a global unique index was being kept', {
        hint: 'Run the transaction again.',
      });
    }
    await removeEntries(step.table, before, context);
    await addEntries(step.table, sink.entries, context);
  }
  output.complete(addTags(tags));
}

/** An UPDATE that assigns no indexed column leaves the global indexes as they are. */
function touchesGlobalIndex(step: ChangeShards): boolean {
  const indexes = globalIndexesOf(step.table);
  if (indexes.length === 0) return false;
  if (step.command !== 'UPDATE') return true;
  const assigned = new Set(step.assigned);
  return indexes.some((index) => index.predicate !== null || index.columns.some((column) => assigned.has(column)));
}

/** What an UPDATE is about to change, read under row locks so that it can't change meanwhile. */
async function entriesBefore(
  step: ChangeShards,
  values: TemplateValues,
  context: ExecutionContext,
): Promise<readonly Buffer[]> {
  if (step.command === 'DELETE' || !touchesGlobalIndex(step)) return [];
  const { table } = step;
  const select = [
    `SELECT ${returningIndexed(table).sql} FROM ${quoteQualified(table.schema, table.name)} AS ${quoteIdentifier(step.alias)} WHERE `,
    ...step.where,
    ' FOR UPDATE',
  ];
  const bytes = encodeRendered(renderTemplate(select, values), [0], false);
  const connections = await joinAll(step.sites, context);
  const gathered = await gatherRows(plainSources(connections, bytes), {
    name: '',
    columns: [],
    primaryKey: [],
    lookupColumns: [],
    always: false,
    coordinator: () => {
      throw pgError('programLimitExceeded', 'too many rows change an indexed column in one statement', {
        hint: 'Change them in several statements.',
      });
    },
  });
  return gathered.kind === 'inline' ? gathered.rows : [];
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
