import type { RelationEntry } from '../catalog/snapshot.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import type { PlanContext } from './context.ts';
import type { SqlTemplate } from './plan.ts';
import { isTextual } from './type-name.ts';

/** A staged relation as it stands in FROM, without an alias: its motion's rows under its own column names. null: not a staged one. */
export function stagedParts(relation: RelationEntry | null, context: PlanContext): SqlTemplate | null {
  const staged = relation && context.staged.get(relation);
  if (!staged) return null;
  const list = relation.columns.map(({ name, typeOid, typeName, collation }, i) => {
    const cast = isTextual(typeOid, typeName) || typeName.includes('(') ? `::${typeName}` : '';
    return `${quoteIdentifier(`c${i}`)}${cast}${collation === null ? '' : ` COLLATE ${collation}`} AS ${quoteIdentifier(name)}`;
  });
  return [`(SELECT ${list.join(', ')} FROM `, { motion: staged.motion }, ')'];
}
