import type { RangeVar } from '@pgsql/types';
import { clusterWideRelation, isLiveRelation, type RelationEntry, resolveRelation } from '../catalog/snapshot.ts';
import type { PlanContext } from './context.ts';
import type { RelationRole } from './model.ts';

/** The relation that a name stands for, once it is known to be no CTE. null: PostgreSQL alone knows. */
export function findRelation(node: RangeVar, context: PlanContext): RelationEntry | null {
  const { schemaname: schema, relname: name = '' } = node;
  const { snapshot, searchPath, temporaryNames } = context;
  if (schema === undefined && temporaryNames.has(name) && temporaryFirst(name, context)) return null;
  const clusterWide = schema === undefined && !context.inView ? clusterWideRelation(snapshot, name, searchPath) : null;
  if (clusterWide) return clusterWide;
  const resolution = resolveRelation(snapshot, schema, name, searchPath);
  return resolution.kind === 'relation' ? resolution.relation : null;
}

/** The temporary schema comes first unless search_path names it at another place. */
function temporaryFirst(name: string, { searchPath, snapshot }: PlanContext): boolean {
  const place = searchPath.findIndex((schema) => schema.startsWith('pg_temp'));
  const before = place < 0 ? [] : searchPath.slice(0, place);
  return !before.some((schema) => snapshot.relations.get(schema)?.has(name));
}

export function roleOf(relation: RelationEntry | null): RelationRole {
  if (relation && isLiveRelation(relation)) return 'virtual';
  return relation?.distributed?.distribution.kind ?? 'local';
}
