import type { Node, RangeVar } from '@pgsql/types';
import { deparseChecked } from '../sql/deparse.ts';
import type { DdlKind } from './ddl-action.ts';
import { type Context, everyTable, isDistributed, local, relationOf } from './ddl-context.ts';

interface Truncate {
  readonly relations?: Node[];
  readonly behavior?: string;
}

export function truncate(fields: Truncate, context: Context): DdlKind {
  const relations = (fields.relations ?? [])
    .map((entry) => relationOf(context, 'RangeVar' in entry ? entry.RangeVar : undefined))
    .filter((relation) => relation !== null);
  const cascade = fields.behavior === 'DROP_CASCADE';
  const concerned = relations.some(isDistributed) || (cascade && everyTable(context).length > 0);
  if (!concerned) return local;
  const oids = relations.map((relation) => relation.oid);
  return { kind: 'truncate', relations: oids, cascade, text: ofShellsAlone(fields, context) };
}

/** The foreign tables beneath the shells are left out: through them the rows on the nodes would be truncated a second time. */
function ofShellsAlone(fields: Truncate, context: Context): string {
  const relations = (fields.relations ?? []).map((entry) => {
    if (!('RangeVar' in entry) || !isDistributed(relationOf(context, entry.RangeVar))) return entry;
    const { inh: _, ...only } = entry.RangeVar;
    return { RangeVar: only };
  });
  return deparseChecked({ TruncateStmt: { ...fields, relations } } as unknown as Node);
}

interface Vacuum {
  readonly rels?: Node[];
  readonly is_vacuumcmd?: boolean;
}

export function vacuum(fields: Vacuum, context: Context): DdlKind {
  const relations = fields.rels ?? [];
  if (relations.length === 0) return { kind: 'maintenance', nodeText: context.statement.text };
  const kept = relations.filter(
    (entry) => 'VacuumRelation' in entry && isDistributed(relationOf(context, entry.VacuumRelation.relation)),
  );
  if (kept.length === 0) return local;
  const nodeText =
    kept.length === relations.length
      ? context.statement.text
      : deparseChecked({ VacuumStmt: { ...fields, rels: kept } } as unknown as Node);
  return { kind: 'maintenance', nodeText };
}

export function maintainRelation(fields: { relation?: RangeVar }, context: Context): DdlKind {
  const relation = relationOf(context, fields.relation);
  const isIndex = relation?.kind === 'index';
  const concerned = isIndex || isDistributed(relation) || fields.relation === undefined;
  return concerned && everyTable(context).length > 0
    ? { kind: 'maintenance', nodeText: context.statement.text }
    : local;
}

/** ANALYZE alone may be in a transaction. */
export function needsNoTransaction(kind: string, fields: object): boolean {
  return kind !== 'VacuumStmt' || (fields as Vacuum).is_vacuumcmd === true;
}

export function isConcurrent(kind: string, fields: object): boolean {
  if (kind === 'VacuumStmt') return (fields as Vacuum).is_vacuumcmd === true;
  if (kind === 'ReindexStmt') return true;
  return (kind === 'IndexStmt' || kind === 'DropStmt') && (fields as { concurrent?: boolean }).concurrent === true;
}
