import { quoteIdentifier } from '../sql/quote.ts';
import type { PlanContext } from './context.ts';
import type { Model } from './model.ts';
import { askTypes, type OutputType } from './questions.ts';
import { rewriteStatement } from './rewrite.ts';

/** The types of a query's columns, as the coordinator says that prepares it over empty rows of the staged relations. null: it can't. */
export function askedTypes(model: Model, context: PlanContext): readonly OutputType[] | null {
  const sql = rewriteStatement({
    ...{ model, context, constants: null },
    replace(item) {
      if (!item.relation || !context.staged.has(item.relation)) return null;
      const list = item.relation.columns.map(({ name, typeName }) => `NULL::${typeName} AS ${quoteIdentifier(name)}`);
      return { parts: [`(SELECT ${list.join(', ')})`], needsAlias: true };
    },
  });
  return askTypes(
    sql.map((part) => (typeof part === 'object' && 'constant' in part ? lateCast(part.constant, context) : part)),
    context.answers,
  );
}

function lateCast(constant: number, context: PlanContext): string {
  const late = context.late.find((each) => each.constant === constant);
  return `NULL::${late?.typeName ?? 'text'}`;
}
