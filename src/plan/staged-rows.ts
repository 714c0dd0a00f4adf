import type { RelationEntry } from '../catalog/snapshot.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { joinParts } from '../sql/source.ts';
import type { PlanContext } from './context.ts';
import type { SqlTemplate } from './plan.ts';
import { isTextual } from './type-name.ts';

/** A staged relation as it stands in FROM, without an alias: its rows under its own column names. null: not a staged one. */
export function stagedParts(relation: RelationEntry | null, context: PlanContext): SqlTemplate | null {
  const staged = relation && context.staged.get(relation);
  if (!staged) return null;
  const names = relation.columns.map((_, i) => quoteIdentifier(`c${i}`));
  if (staged.kind === 'query') {
    const list = relation.columns.map(
      ({ name, typeName }, i) => `${names[i]}::${typeName} AS ${quoteIdentifier(name)}`,
    );
    return joinParts([`(SELECT ${list.join(', ')} FROM (`, ...staged.sql, `) AS pgherd_q(${names.join(', ')}))`]);
  }
  const list = relation.columns.map(({ name, typeOid, typeName, collation }, i) => {
    const cast = isTextual(typeOid, typeName) || typeName.includes('(') ? `::${typeName}` : '';
    return `${names[i]}${cast}${collation === null ? '' : ` COLLATE ${collation}`} AS ${quoteIdentifier(name)}`;
  });
  return [`(SELECT ${list.join(', ')} FROM `, { motion: staged.motion }, ')'];
}
