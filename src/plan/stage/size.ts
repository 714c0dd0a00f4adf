import type { Node } from '@pgsql/types';
import { quoteQualified } from '../../sql/quote.ts';
import { restate } from '../../sql/restate.ts';
import { analyze } from '../analyze.ts';
import type { PlanContext } from '../context.ts';
import { askSize, type RowsSize } from '../questions.ts';
import { rewriteStatement } from '../rewrite.ts';
import { activeNodes } from './query.ts';

/** When nobody can tell. */
const unknownSize: RowsSize = { rows: 1_000, rowBytes: 40 };

/** How many rows a query yields, and how wide: PostgreSQL's own estimate, made on one node and counted for all. */
export function sizeOf(query: Node, context: PlanContext): RowsSize {
  const statement = restate(query);
  const model = analyze(statement.node, statement, context);
  const staged = model.relations.flatMap((item) => (item.relation ? (context.staged.get(item.relation) ?? []) : []));
  const local = model.relations.some(
    ({ role, relation }) => role === 'local' && !(relation && context.staged.has(relation)),
  );
  const distributed = model.relations.some(({ role }) => role === 'distributed');
  if (staged.length > 0 || model.views.length > 0)
    return { ...unknownSize, rows: Math.max(1, ...staged.map(({ rows }) => rows)) };
  if (local && distributed) return unknownSize;
  const [node] = activeNodes(context);
  const sql = rewriteStatement({
    ...{ model, context, constants: null },
    replace: ({ relation }) =>
      relation ? { parts: [quoteQualified(relation.schema, relation.name)], needsAlias: true } : null,
  });
  const late = sql.some((part) => typeof part === 'object' && 'constant' in part);
  if (late) return unknownSize;
  const size = askSize(local || node === undefined ? 'coordinator' : node, sql, context.answers);
  if (!size) return unknownSize;
  return distributed ? { ...size, rows: size.rows * activeNodes(context).length } : size;
}
