import type { NodeId } from '../catalog/snapshot.ts';
import { settled } from '../core/settled.ts';
import type { ChangeStep, MotionColumn, SqlTemplate } from '../plan/plan.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { tokenize } from '../sql/tokens.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { exchangeSource, passToClient } from './exchange.ts';
import { withoutConflicts, withoutRepeats } from './insert-conflict.ts';
import { watchedExchange } from './instruments.ts';
import { ownRows, renderTemplate, type TemplateValues, withOwnRows } from './render-template.ts';
import { type RowsItem, rowsAsUnnest } from './rendered-rows.ts';
import { ReturnedInOrder } from './returned-order.ts';
import { groupByNode } from './route-rows.ts';
import { forEachBatch } from './row-batches.ts';
import { RowWindow } from './scatter.ts';
import { encodeRendered } from './statement-bytes.ts';
import { prepareUpsert } from './upsert.ts';

/** Rows that go to nodes as arrays, at a time. */
export const batchBytes = 1_048_576;

/**
 * INSERT whose rows the coordinator computes: they are cut by shard and go to each node as arrays, in batches. The whole is one
 * transaction.
 */
export async function insertRows(
  step: Extract<ChangeStep, { kind: 'insert rows' }>,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const { transaction, signal } = context;
  transaction.ensureBlock();
  const coordinator = await transaction.join('coordinator', signal);
  const window = new RowWindow(output);
  let inserted = 0;
  let batches = 0;
  const insertOn = async (node: NodeId, rows: readonly Buffer[], returned: ClientOutput) => {
    const connection = await transaction.join(node, signal);
    transaction.markWritten(node);
    const rendered = insertStatement(step.head, rows, step.columns, step.tail, values);
    const bytes = encodeRendered(rendered, output.resultFormats, output.wantsDescription);
    const tag = await passToClient(watchedExchange(context, 'final', connection, { rendered, bytes }), returned);
    inserted += Number(/(\d+)$/.exec(tag)?.[1] ?? 0);
  };
  const query = renderTemplate(step.rows, values);
  const insertPart = async (rows: readonly Buffer[]) => {
    const byNode = await groupByNode(step.table, step.columns, rows, context);
    const inOrder = new ReturnedInOrder(window);
    await settled([...byNode].map(([node, part]) => insertOn(node, part, inOrder.from(node))));
    inOrder.release(rows, byNode);
    await context.keys.settleEntries(context);
  };
  const computed = watchedExchange(context, 'rows', coordinator, {
    rendered: query,
    bytes: encodeRendered(query, [1], false),
  });
  const upsert = await prepareUpsert(step, values, context, { window, insert: insertPart });
  await forEachBatch(computed, batchBytes, async (rows) => {
    batches += 1;
    if (step.conflict === null) return insertPart(rows);
    const { indexes } = step.conflict;
    for (const part of withoutRepeats(step.table, indexes, step.columns, rows)) {
      if (upsert !== null) {
        await upsert.run(part);
        continue;
      }
      const left = await withoutConflicts(step.table, indexes, step.columns, part, context);
      if (left.length > 0) await insertPart(left);
      else await context.keys.settleEntries(context);
    }
  });
  if ((batches === 0 || step.conflict !== null) && hasReturning(step.tail))
    await describeNothing(step, values, context, window);
  await upsert?.checkRights(inserted > 0);
  output.complete(`INSERT 0 ${inserted + (upsert?.updated ?? 0)}`);
}

/** `head` SELECT the rows `tail`, with the rows as array parameters. */
export function insertStatement(
  head: string,
  rows: readonly Buffer[],
  columns: readonly MotionColumn[],
  tail: SqlTemplate,
  values: TemplateValues,
) {
  const own = withOwnRows(values, (firstPlaceholder) => insertedRows(rows, columns, firstPlaceholder));
  return renderTemplate(insertTemplate(head, tail), own);
}

export function insertTemplate(head: string, tail: SqlTemplate): SqlTemplate {
  return [`${head} `, { motion: ownRows }, ' ', ...tail];
}

/** The rows' SELECT; columns that travelled as text are cast back. */
export function insertedRows(
  rows: readonly Buffer[],
  columns: readonly MotionColumn[],
  firstPlaceholder: number,
): RowsItem {
  const item = rowsAsUnnest(rows, columns, 'pgherd_rows', firstPlaceholder);
  const list = columns.map((column) => {
    const name = `pgherd_rows.${quoteIdentifier(column.name)}`;
    return column.viaText ? `${name}::${column.typeName}` : name;
  });
  return { sql: `SELECT ${list.join(', ')} FROM ${item.sql}`, values: item.values };
}

/** No row to insert, but the client expects a description of what RETURNING would have given. */
async function describeNothing(
  step: Extract<ChangeStep, { kind: 'insert rows' }>,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  if (!output.wantsDescription || step.table.distribution.kind !== 'distributed') return;
  const node = step.table.distribution.group.shards[0]!.nodeId;
  const connection = await context.transaction.join(node, context.signal);
  const rendered = insertStatement(step.head, [], step.columns, step.tail, values);
  const bytes = encodeRendered(rendered, output.resultFormats, true);
  await passToClient(exchangeSource(connection, bytes), output);
}

/** The word itself: not in a string, a comment or a quoted name. */
export function hasReturning(sql: SqlTemplate): boolean {
  const text = sql.map((part) => (typeof part === 'string' ? part : ' ? ')).join('');
  if (!/returning/i.test(text)) return false;
  return tokenize(Buffer.from(text).toString('latin1')).some(
    ({ kind, text: word }) => kind === 'word' && word === 'returning',
  );
}
