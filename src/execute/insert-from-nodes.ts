import type { NodeId } from '../catalog/snapshot.ts';
import { limits } from '../core/limits.ts';
import { settled } from '../core/settled.ts';
import type { ChangeStep } from '../plan/plan.ts';
import { copyBinaryHeader, copyBinaryTrailer } from '../wire/copy-binary.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { FramePool } from './copy-frames.ts';
import { CopyStream } from './copy-stream.ts';
import { passToClient } from './exchange.ts';
import { HeldTuples, tuplesIn } from './held-tuples.ts';
import { batchBytes, insertStatement } from './insert-rows.ts';
import { watchedExchange } from './instruments.ts';
import type { TemplateValues } from './render-template.ts';
import { sourcesOf } from './sources.ts';
import { receiveDataRows } from './stage-rows.ts';
import { encodeRendered } from './statement-bytes.ts';

type InsertRows = Extract<ChangeStep, { kind: 'insert rows' }> & { readonly copiedInto: string };

/**
 * INSERT whose rows the nodes compute. They are held here until all have come, for they go back over the same connections: many by COPY,
 * few as arrays. Throws NotStageable before anything is written when they are too many to hold.
 */
export async function insertFromNodes(
  step: InsertRows,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  context.transaction.ensureBlock();
  const sources = await sourcesOf('rows', step.sites, step.rows, values, binaryRows, context);
  const held = new HeldTuples(step.table, step.columns);
  await receiveDataRows(sources, (bytes, start, end) => held.add(bytes, start, end));
  await held.settle(context.control());
  const copies = held.bytes > batchBytes;
  const counts = await settled(
    held.messages().map(([node, messages]) => {
      context.transaction.markWritten(node);
      if (copies) return copyInto(step.copiedInto, node, messages, context);
      return insertInto(step, values, { node, rows: tuplesIn(messages) }, { context, output });
    }),
  );
  output.complete(`INSERT 0 ${counts.reduce((sum, count) => sum + count, 0)}`);
}

async function insertInto(
  step: InsertRows,
  values: TemplateValues,
  { node, rows }: { readonly node: NodeId; readonly rows: readonly Buffer[] },
  { context, output }: { readonly context: ExecutionContext; readonly output: ClientOutput },
): Promise<number> {
  const connection = await context.transaction.join(node, context.signal);
  const rendered = insertStatement(step.head, rows, step.columns, step.tail, values);
  const bytes = encodeRendered(rendered, [], false);
  const tag = await passToClient(watchedExchange(context, 'final', connection, { rendered, bytes }), output);
  return Number(/(\d+)$/.exec(tag)?.[1] ?? 0);
}

/** `place`: a table and its columns, as COPY has them. Messages are let go as they are sent. Gives the number of rows. */
async function copyInto(
  place: string,
  node: NodeId,
  messages: Buffer[],
  { transaction, signal }: ExecutionContext,
): Promise<number> {
  const stream = new CopyStream({
    site: node,
    sql: `COPY ${place} FROM STDIN (FORMAT binary)`,
    highWaterBytes: limits.copyHighWaterBytes,
    pool: new FramePool(),
    prologue: copyBinaryHeader,
    epilogue: copyBinaryTrailer,
    join: () => transaction.join(node, signal),
    onError() {},
    onNotice() {},
  });
  messages.reverse();
  for (let next = messages.pop(); next !== undefined && stream.error === null; next = messages.pop()) {
    stream.appendMessage(next);
    if (stream.full) await stream.drained();
  }
  return stream.finish();
}

const binaryRows = { resultFormats: [1], describe: false } as const;
