import type { NodeId } from '../catalog/snapshot.ts';
import { settled } from '../core/settled.ts';
import type { ChangeStep } from '../plan/plan.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { passToClient } from './exchange.ts';
import { batchBytes, insertStatement } from './insert-rows.ts';
import { watchedExchange } from './instruments.ts';
import { TableCopy } from './motion.ts';
import type { TemplateValues } from './render-template.ts';
import { groupByNode } from './route-rows.ts';
import { sourcesOf } from './sources.ts';
import { heldRows } from './stage-rows.ts';
import { encodeRendered } from './statement-bytes.ts';

/**
 * INSERT whose rows the nodes compute. They are held here until all have come, for they go back over the same connections: many by COPY,
 * few as arrays. Throws NotStageable before anything is written when they are too many to hold.
 */
export async function insertFromNodes(
  step: Extract<ChangeStep, { kind: 'insert rows' }> & { readonly copiedInto: string },
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const { transaction, signal } = context;
  transaction.ensureBlock();
  const sources = await sourcesOf('rows', step.sites, step.rows, values, binaryRows, context);
  const { rows, bytes } = await heldRows(sources);
  const byNode = await groupByNode(step.table, step.columns, rows, context);
  const insertOn = async (node: NodeId, part: readonly Buffer[]): Promise<number> => {
    const connection = await transaction.join(node, signal);
    transaction.markWritten(node);
    if (bytes > batchBytes) {
      const copy = await TableCopy.open(connection, { name: step.copiedInto, lookupColumns: [] });
      for (const row of part) if (!copy.write(row)) await connection.drained();
      await copy.end();
      return part.length;
    }
    const rendered = insertStatement(step.head, part, step.columns, step.tail, values);
    const source = watchedExchange(context, 'final', connection, {
      rendered,
      bytes: encodeRendered(rendered, [], false),
    });
    return Number(/(\d+)$/.exec(await passToClient(source, output))?.[1] ?? 0);
  };
  const counts = await settled([...byNode].map(([node, part]) => insertOn(node, part)));
  output.complete(`INSERT 0 ${counts.reduce((sum, count) => sum + count, 0)}`);
}

const binaryRows = { resultFormats: [1], describe: false } as const;
