import type { Node } from '@pgsql/types';
import { quoteIdentifier } from '../sql/quote.ts';
import { joinParts, type SqlSource, textBetween } from '../sql/source.ts';
import type { PlanContext } from './context.ts';
import { closing } from './edits.ts';
import type { Model } from './model.ts';
import type { Plan } from './plan.ts';
import { blockOutputs } from './resolve.ts';
import { planStaged } from './stage/plan-staged.ts';
import { outputsOf, rowsAtCoordinator } from './stage/query.ts';
import { mayFail } from './stage/sublinks.ts';

/**
 * DECLARE CURSOR and COPY (query) TO, whose query the nodes answer for the most part; null: it takes a gather. CREATE TABLE AS is not
 * among them: a table's columns have type modifiers, which a query in stages does not keep.
 */
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
  // Of rows that only travel a gather brings as many.
  if (plan.final.kind === 'scatter' && plan.motions.length === 0) return null;
  const motions = [...plan.motions];
  const rows = plan.final.kind === 'combine' ? plan.final.sql : rowsOfNodes(plan, query, motions, context);
  if (rows === null) return null;
  const before = textBetween(source, 0, extent.start);
  const after = textBetween(source, extent.end, source.bytes.length);
  const sql = joinParts([`${before}SELECT * FROM (`, ...rows, `) AS pgherd_q(${names.join(', ')})${after}`]);
  return { ...plan, motions, final: { kind: 'combine', sql, utility: true }, returnsRows: false };
}

function rowsOfNodes(plan: Plan, query: Node, motions: Plan['motions'][number][], context: PlanContext) {
  const columns = outputsOf(query, context);
  return 'reason' in columns ? null : rowsAtCoordinator(plan, columns, { motions });
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
