import type { Node } from '@pgsql/types';
import { quoteIdentifier } from '../sql/quote.ts';
import { joinParts, type SqlSource, textBetween } from '../sql/source.ts';
import type { PlanContext } from './context.ts';
import { closing } from './edits.ts';
import type { Model } from './model.ts';
import type { Plan, SqlTemplate } from './plan.ts';
import { blockOutputs } from './resolve.ts';
import { planStaged } from './stage/plan-staged.ts';
import { outputsOf, rowsAtCoordinator } from './stage/query.ts';
import { mayFail } from './stage/sublinks.ts';

/** DECLARE CURSOR and COPY (query) TO, whose query the nodes answer for the most part; null: it takes a gather. */
export function planUtilityQuery(model: Model, context: PlanContext): Plan | null {
  const { root, source } = model;
  const extent = queryExtent(source);
  if (extent === null || context.force === 'gather' || !('node' in root)) return null;
  // A cursor fails when the row is fetched, not when it is declared.
  if (extent.isCursor && mayFail(root)) return null;
  const query = { SelectStmt: root.node } as Node;
  const names = blockOutputs(root)?.map(({ name }) => quoteIdentifier(name));
  const plan = planStaged(query, model, context);
  // The statement itself runs in the session's own transaction.
  if (!('rung' in plan) || plan.beside?.readsCoordinator || !names || names.length === 0) return null;
  const staged = queryRows(plan, query, context);
  if (staged === null) return null;
  const { rows, motions } = staged;
  const before = textBetween(source, 0, extent.start);
  const after = textBetween(source, extent.end, source.bytes.length);
  const sql = joinParts([`${before}SELECT * FROM (`, ...rows, `) AS pgherd_q(${names.join(', ')})${after}`]);
  return { ...plan, motions, final: { kind: 'combine', sql, utility: true }, returnsRows: false };
}

/** What a query yields, as SQL of the coordinator over these motions; null: it takes a gather. */
export function queryRows(
  plan: Plan,
  query: Node,
  context: PlanContext,
): { readonly rows: SqlTemplate; readonly motions: Plan['motions'] } | null {
  if (plan.final.kind === 'combine') return { rows: plan.final.sql, motions: plan.motions };
  // Of rows that only travel a gather brings as many.
  if (plan.motions.length === 0 && isPlainRead(query)) return null;
  const motions = [...plan.motions];
  const columns = outputsOf(query, context);
  const rows = 'reason' in columns ? null : rowsAtCoordinator(plan, columns, { motions });
  return rows === null ? null : { rows, motions };
}

/** Some rows of one table, each as one row. */
function isPlainRead(query: Node): boolean {
  if (!('SelectStmt' in query)) return false;
  const { fromClause = [], whereClause, groupClause, havingClause, distinctClause, limitCount } = query.SelectStmt;
  const [only] = fromClause;
  if (fromClause.length !== 1 || !only || !('RangeVar' in only)) return false;
  return (
    !(groupClause ?? havingClause ?? distinctClause ?? limitCount) &&
    !JSON.stringify(whereClause ?? '').includes('"SubLink"')
  );
}

interface QueryExtent {
  readonly start: number;
  readonly end: number;
  readonly isCursor: boolean;
}

/** Where the query stands in the statement's text. */
function queryExtent(source: SqlSource): QueryExtent | null {
  const tokens = source.tokens();
  if (tokens[0]?.text === 'copy' && tokens[1]?.text === '(') {
    return { start: tokens[1].end, end: tokens[closing(tokens, 1)]!.start, isCursor: false };
  }
  if (tokens[0]?.text !== 'declare') return null;
  const cursor = tokens.findIndex(({ text }, place) => place > 1 && text === 'cursor');
  const begins = tokens.findIndex(({ text }, place) => place > cursor && text === 'for') + 1;
  const [first, last] = [tokens[begins], tokens.at(-1)];
  return cursor < 0 || begins === 0 || !first || !last ? null : { start: first.start, end: last.end, isCursor: true };
}
