import type { ServerConnection } from '../backend/server-connection.ts';
import type { FinalStep } from '../plan/plan.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { encodeQuery } from '../wire/frontend.ts';
import { CapturedRows } from './captured-rows.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { exchangeSource, passToClient } from './exchange.ts';
import { watchedExchange } from './instruments.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { encodeRendered } from './statement-bytes.ts';

/** CREATE TABLE AS on the coordinator: the empty table, and then its rows. */
export async function fillTable(
  step: Extract<FinalStep, { kind: 'fill table' }>,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const { transaction, signal } = context;
  transaction.ensureBlock();
  const connection = await transaction.join('coordinator', signal);
  transaction.markWritten('coordinator');
  await passToClient(exchangeSource(connection, encodeQuery(step.create)), new CapturedRows(output));
  const schema = step.schema ?? (await currentSchema(connection));
  const rows = renderTemplate(step.rows, values, 'coordinator');
  const sql = `INSERT INTO ${quoteIdentifier(schema)}.${quoteIdentifier(step.name)} ${rows.sql}`;
  const rendered = { ...rows, sql };
  const { instruments } = context;
  if (instruments?.answerIsDiscarded) return output.complete(await instruments.explain('final', connection, rendered));
  const bytes = encodeRendered(rendered, [], false);
  const tag = await passToClient(watchedExchange(context, 'final', connection, { rendered, bytes }), output);
  output.complete(tag.replace(/^INSERT 0 /, 'SELECT '));
}

/** Where PostgreSQL makes a table whose schema isn't named: the first one of the search path. */
async function currentSchema(connection: ServerConnection): Promise<string> {
  const { rows } = await connection.query('SELECT current_schema()');
  return rows[0]?.[0] ?? 'public';
}
