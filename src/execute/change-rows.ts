import { collectResult } from '../backend/collect-result.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import type { NodeId } from '../catalog/snapshot.ts';
import { pgError, unsupported } from '../core/errors.ts';
import { settled } from '../core/settled.ts';
import type { ChangeStep, MotionColumn, SqlTemplate } from '../plan/plan.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { decodeCommandComplete } from '../wire/backend.ts';
import { encodeParse, syncMessage } from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import { onCopies } from './change.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { type AnswerSource, exchangeSource, passToClient } from './exchange.ts';
import { hasReturning } from './insert-rows.ts';
import { watchedExchange } from './instruments.ts';
import { renderTemplate, type TemplateValues, withOwnRows } from './render-template.ts';
import { createRowRouter } from './route-rows.ts';
import { forEachBatch } from './row-batches.ts';
import { RowWindow } from './scatter.ts';
import { shippedRows, type TypedColumn, travellingRows, typedColumns } from './shipped-rows.ts';
import { encodeRendered, type RenderedSql } from './statement-bytes.ts';

export type ChangeRows = Extract<ChangeStep, { kind: 'change rows' }>;

const batchBytes = 1_048_576;

/** UPDATE or DELETE of rows that the coordinator finds. They were locked by the motions, so their addresses hold. */
export async function changeRows(
  step: ChangeRows,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const { transaction, signal } = context;
  transaction.ensureBlock();
  const coordinator = await transaction.join('coordinator', signal);
  await checkStatement(coordinator, step.checked, values);
  if (step.move !== null) await refuseReferenced(coordinator, step, context);
  const yielded = (index: number) => step.columns[index]!.name;
  const columns = await typedColumns(coordinator, step.rows, step.columns, yielded, values);
  const query = travellingRows(step.rows, step.address, columns, yielded, values);
  const found = watchedExchange(context, 'rows', coordinator, {
    rendered: query,
    bytes: encodeRendered(query, [1], false),
  });
  const work: Work = { step, columns, values, context, window: new RowWindow(output) };
  const counted =
    step.table.distribution.kind === 'reference'
      ? await changeAllCopies(work, found)
      : await changeOnNodes(work, found);
  output.complete(`${step.command} ${counted}`);
}

interface Work {
  readonly step: ChangeRows;
  readonly columns: readonly TypedColumn[];
  readonly values: TemplateValues;
  readonly context: ExecutionContext;
  readonly window: RowWindow;
}

/** The coordinator parses the statement as the client wrote it: its casts on the way are more lenient than assignment is. */
export async function checkStatement(
  coordinator: ServerConnection,
  statement: SqlTemplate,
  values: TemplateValues,
): Promise<void> {
  const { sql } = renderTemplate(statement, values);
  await exchangeSource(coordinator, Buffer.concat([encodeParse('', sql, []), syncMessage])).run(() => {});
}

/** Moving a row is a DELETE and an INSERT, for which foreign keys have other actions than for an UPDATE. */
async function refuseReferenced(
  coordinator: ServerConnection,
  { table }: ChangeRows,
  { snapshot }: ExecutionContext,
): Promise<void> {
  const { rows } = await coordinator.query(
    `SELECT oid, conname FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = ${table.oid}`,
  );
  const found = rows.find(([oid]) => !snapshot.foreignKeys.has(Number(oid)));
  if (found) throw unsupported('PH006', `moving rows of ${table.name}, which foreign key ${found[1]} references`);
}

async function changeAllCopies(work: Work, found: AnswerSource): Promise<number> {
  const { step, context, window } = work;
  const batches: (readonly Buffer[])[] = [];
  await forEachBatch(found, batchBytes, async (rows) => {
    batches.push(rows);
  });
  if (batches.length === 0 && hasReturning(step.sql)) batches.push([]);
  let counted = 0;
  for (const rows of batches) {
    const rendered = renderRows(step.sql, rows, work);
    const nodes = step.sites.filter((site) => site !== 'coordinator');
    const tag = await onCopies(nodes, context, window, rendered);
    counted += countOf(tag);
    checkCount(work, counted, counted);
  }
  return counted;
}

async function changeOnNodes(work: Work, found: AnswerSource): Promise<number> {
  const { step } = work;
  let counted = 0;
  let batches = 0;
  await forEachBatch(found, batchBytes, async (rows) => {
    batches += 1;
    const shares = await sharesOf(work, rows);
    if (step.move !== null) await onEach(shares, (share) => noteMoved(work, share));
    await onEach(shares, (share) => deleteMoved(work, share));
    const counts = await onEach(shares, (share) => changeShare(work, share));
    counted += counts.reduce((sum, count) => sum + count, 0);
  });
  if (batches === 0 && hasReturning(step.sql)) await describeNothing(work);
  return counted;
}

/** What one node has to do for a batch of rows. */
interface Share {
  readonly node: NodeId;
  /** Rows that stay on the node. */
  readonly kept: Buffer[];
  readonly leaving: Buffer[];
  readonly arriving: Buffer[];
}

async function sharesOf({ step, columns, context }: Work, rows: readonly Buffer[]): Promise<Share[]> {
  const shares = new Map<NodeId, Share>();
  const shareOf = (node: NodeId): Share => {
    const share = shares.get(node) ?? { node, kept: [], leaving: [], arriving: [] };
    shares.set(node, share);
    return share;
  };
  if (step.move === null) for (const row of rows) shareOf(nodeIn(row)).kept.push(row);
  else {
    const names = step.move.stored.map(({ name }) => name);
    const routed: MotionColumn[] = [
      ...step.address,
      ...columns.map(
        (column, i): MotionColumn => ({ ...column, name: names[i] ?? '', typeOid: 25, collation: null, viaText: true }),
      ),
    ];
    const router = createRowRouter(step.table, routed, context);
    for (const row of rows) {
      const found = router.nodeOf(row);
      const goal = typeof found === 'number' ? found : await found;
      const own = shareOf(nodeIn(row));
      if (goal === own.node) own.kept.push(row);
      else {
        own.leaving.push(row);
        shareOf(goal).arriving.push(row);
      }
    }
  }
  return [...shares.values()];
}

/** The first column, an int4, is the node that holds the row. */
function nodeIn(row: Buffer): NodeId {
  return row.readInt32BE(6);
}

function onEach<T>(shares: readonly Share[], act: (share: Share) => Promise<T>): Promise<T[]> {
  return settled(shares.map(act));
}

/** To PostgreSQL a row that leaves its shard is deleted, and foreign keys that the router keeps must hear what became of it. */
async function noteMoved(work: Work, { node, kept, leaving }: Share): Promise<void> {
  const { step, context } = work;
  const { table, move } = step;
  const referencing = [...context.snapshot.foreignKeys.values()].filter(({ parent }) => parent === table.oid);
  const rows = [...kept, ...leaving];
  if (move === null || referencing.length === 0 || rows.length === 0) return;
  const alias = quoteIdentifier(step.alias);
  const stored = move.stored.map(({ name }) => name);
  const texts = (of: (name: string) => string) =>
    referencing.flatMap(({ parentColumns }) => parentColumns.map((name) => `${of(name)}::text`)).join(', ');
  const list = [
    texts((name) => `${alias}.${quoteIdentifier(name)}`),
    texts((name) =>
      stored.includes(name) ? `pgherd_r.pgherd_s${stored.indexOf(name)}` : `${alias}.${quoteIdentifier(name)}`,
    ),
  ];
  const sql: SqlTemplate = [
    `SELECT ${list.join(', ')} FROM ${quoteQualified(table.schema, table.name)} AS ${alias}, `,
    { motion: -1 },
    ` WHERE ${alias}.tableoid = pgherd_r.pgherd_leaf AND ${alias}.ctid = pgherd_r.pgherd_ctid`,
  ];
  const connection = await context.transaction.join(node, context.signal);
  const found = await collectResult(connection, encodeRendered(renderRows(sql, rows, work), [], false));
  for (const values of found.rows) {
    let at = 0;
    for (const { oid, parentColumns } of referencing) {
      const [from, to] = [at, at + parentColumns.length];
      const half = values.length / 2;
      context.keys.noteMoved(oid, values.slice(from, to), values.slice(half + from, half + to));
      at = to;
    }
  }
}

async function deleteMoved(work: Work, { node, leaving }: Share): Promise<void> {
  const { move } = work.step;
  if (leaving.length === 0 || move === null) return;
  const connection = await writer(work, node);
  const rendered = renderRows(move.deleteSql, leaving, work);
  const bytes = encodeRendered(rendered, [], false);
  let deleted = 0;
  await watchedExchange(work.context, 'moved away', connection, { rendered, bytes }).run((type, frame) => {
    if (type === message.commandComplete) deleted = countOf(decodeCommandComplete(frame));
  });
  checkCount(work, leaving.length, deleted);
}

async function changeShare(work: Work, { node, kept, arriving }: Share): Promise<number> {
  const { step } = work;
  let counted = 0;
  if (kept.length > 0) {
    const changed = await runOn(node, 'final', kept, work);
    checkCount(work, kept.length, changed);
    counted += changed;
  }
  if (step.move !== null && arriving.length > 0) {
    counted += await runOn(node, 'moved in', arriving, work);
  }
  return counted;
}

async function runOn(node: NodeId, part: 'final' | 'moved in', rows: readonly Buffer[], work: Work): Promise<number> {
  const { step, window, context } = work;
  const sql = part === 'moved in' && step.move !== null ? step.move.insertSql : step.sql;
  const connection = await writer(work, node);
  const rendered = renderRows(sql, rows, work);
  const bytes = encodeRendered(rendered, window.resultFormats, window.wantsDescription);
  return countOf(await passToClient(watchedExchange(context, part, connection, { rendered, bytes }), window));
}

async function writer({ context }: Work, node: NodeId): Promise<ServerConnection> {
  const connection = await context.transaction.join(node, context.signal);
  context.transaction.markWritten(node);
  return connection;
}

/** A trigger may let a row be; otherwise every row that was found is there. */
function checkCount({ step }: Work, expected: number, changed: number): void {
  if (changed === expected || step.table.hasRowTriggers || step.table.hasRowSecurity) return;
  throw pgError('serializationFailure', `rows of ${step.table.name} changed while they were being updated`, {
    hint: 'Run the transaction again.',
  });
}

/** No row to change, but the client expects a description of what RETURNING would have given. */
async function describeNothing(work: Work): Promise<void> {
  const { step, context, window } = work;
  const [node] = step.sites;
  if (!window.wantsDescription || node === undefined) return;
  const connection = await context.transaction.join(node, context.signal);
  const bytes = encodeRendered(renderRows(step.sql, [], work), window.resultFormats, true);
  await passToClient(exchangeSource(connection, bytes), window);
}

function renderRows(sql: SqlTemplate, rows: readonly Buffer[], { step, columns, values }: Work): RenderedSql {
  const own = withOwnRows(values, (first) => shippedRows(rows, step.address, columns, 'pgherd_r', first));
  return renderTemplate(sql, own);
}

function countOf(tag: string): number {
  return Number(/(\d+)$/.exec(tag)?.[1] ?? 0);
}
