import { collectResult } from '../backend/collect-result.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import { PgError } from '../core/errors.ts';
import { type ExplainOptions, serverOptions } from '../plan/explain-options.ts';
import type { JsonObject, ServerPlan } from '../plan/explain-report.ts';
import { encodeRendered, type RenderedSql } from './statement-bytes.ts';

/** A server's own plan of a statement; with `analyze` the statement runs there. */
export async function explainOn(
  connection: ServerConnection,
  { sql, values }: RenderedSql,
  options: ExplainOptions,
  analyze: boolean,
): Promise<ServerPlan> {
  const format = options.format === 'text' ? 'text' : 'json';
  const text = `EXPLAIN ${serverOptions(options, analyze, format)} ${sql}`;
  const { rows } = options.genericPlan
    ? await connection.query(text)
    : await collectResult(connection, encodeRendered({ sql: text, values }, [], false));
  const lines = rows.map(([line]) => line ?? '');
  if (format === 'text') return { kind: 'text', lines };
  const [document] = JSON.parse(repairedJson(lines.join('\n'))) as JsonObject[];
  const hasPlan = typeof document === 'object' && 'Plan' in document;
  return hasPlan ? { kind: 'json', document } : { kind: 'none', reason: 'a utility statement has no plan' };
}

/**
 * The same, in a savepoint that is rolled back: what a change does so is undone, and an error does not end the transaction. The
 * connection must be in a block.
 */
export async function sampleOn(
  connection: ServerConnection,
  rendered: RenderedSql,
  options: ExplainOptions,
  analyze: boolean,
): Promise<ServerPlan> {
  await connection.query(`SAVEPOINT ${savepoint}`);
  const { onKeyReport } = connection;
  connection.onKeyReport = null;
  try {
    return await explainOn(connection, rendered, options, analyze);
  } catch (error) {
    if (!(error instanceof PgError) || isFatal(error)) throw error;
    return { kind: 'none', reason: error.message };
  } finally {
    connection.onKeyReport = onKeyReport;
    if (!connection.closed) {
      await connection.query(`ROLLBACK TO SAVEPOINT ${savepoint}; RELEASE SAVEPOINT ${savepoint}`);
    }
  }
}

/**
 * PostgreSQL writes what it tells of a change of a partitioned table (`Tuples Inserted`, `Conflict Resolution`) into the list of its
 * partitions, where JSON allows no names: such members go behind the list.
 */
function repairedJson(text: string): string {
  const misplaced = /("Target Tables": \[(?:\s*\{[^{}]*\},?)+)((?:\s*"[^"\n]+": [^\n]+)+)\n\s*\]/g;
  return text.replace(misplaced, (_, list: string, members: string) => `${list.replace(/,\s*$/, '')}],${members}`);
}

const savepoint = 'pgherd_explain';

/** What ends an EXPLAIN in PostgreSQL too: a lost connection, a cancel, a missing privilege. */
function isFatal({ code }: PgError): boolean {
  return code.startsWith('08') || code.startsWith('57') || code === '42501';
}

/** Rows that a plan gave, or is expected to give; null: it does not say. */
export function rowsOf(plan: ServerPlan, which: 'actual' | 'expected'): number | null {
  switch (plan.kind) {
    case 'text': {
      const pattern = which === 'actual' ? /actual (?:time=\S+ )?rows=([\d.]+) loops=/ : /rows=(\d+) width=/;
      const found = pattern.exec(plan.lines[0] ?? '');
      return found === null ? null : Number(found[1]);
    }
    case 'json': {
      const root = plan.document['Plan'] as JsonObject;
      const rows = root[which === 'actual' ? 'Actual Rows' : 'Plan Rows'];
      return typeof rows === 'number' ? rows : null;
    }
    case 'none':
      return null;
  }
}
