import type { RelationEntry } from '../catalog/snapshot.ts';
import type { TriggerEvent, TriggerFiring } from '../catalog/statement-trigger.ts';
import { assignedColumns } from './assignment.ts';
import { mergeActions } from './change-checks.ts';
import { isChange, type Model, type RelationItem } from './model.ts';
import type { TriggerFirings } from './plan.ts';

/**
 * Statement triggers that a statement fires, in PostgreSQL's order: of the statement itself, then of the changes in WITH; afterwards the
 * other way round. One that several changes of a statement would fire is fired once. null: there are none.
 */
export function triggerFirings({ root, relations }: Model): TriggerFirings | null {
  const targets = relations.filter((item) => item.isTarget && item.role === 'distributed');
  if (!targets.some((item) => item.table?.statementTriggers.length)) return null;
  const groups = targets.toSorted((a, b) => Number(b.block === root) - Number(a.block === root)).map(eventsOf);
  const [first, ...others] = groups;
  const last = targets.some((item) => item.block === root) ? [...others, first ?? []] : groups;
  return {
    before: once(waitedFor(groups.flat(), targets, true)),
    after: once(
      waitedFor(
        last.flatMap((events) => events.toReversed()),
        targets,
        false,
      ).toReversed(),
    ).toReversed(),
    reads: [...new Set(relations.flatMap(readOf))],
  };
}

/** ON CONFLICT DO UPDATE fires for both events, MERGE for all that it may do, whether it does or not. */
function eventsOf({ block, table }: RelationItem): TriggerFiring[] {
  if (table === null || !isChange(block)) return [];
  const firing = (event: TriggerEvent, columns: readonly string[] = []): TriggerFiring => ({ table, event, columns });
  switch (block.kind) {
    case 'insert': {
      const clause = block.node.onConflictClause;
      if (clause?.action !== 'ONCONFLICT_UPDATE') return [firing('insert')];
      return [firing('insert'), firing('update', assignedColumns(clause.targetList ?? []))];
    }
    case 'update':
      return [firing('update', assignedColumns(block.node.targetList ?? []))];
    case 'delete':
      return [firing('delete')];
    case 'merge': {
      const actions = mergeActions(block.node.mergeWhenClauses);
      const of = (command: string) => actions.filter(({ commandType }) => commandType === command);
      const assigned = [...new Set(of('CMD_UPDATE').flatMap(({ targets }) => assignedColumns(targets)))];
      return [
        ...(of('CMD_INSERT').length > 0 ? [firing('insert')] : []),
        ...(of('CMD_UPDATE').length > 0 ? [firing('update', assigned)] : []),
        ...(of('CMD_DELETE').length > 0 ? [firing('delete')] : []),
      ];
    }
    default:
      return [];
  }
}

function waitedFor(firings: readonly TriggerFiring[], targets: readonly RelationItem[], before: boolean) {
  return firings.filter(({ table, event }) =>
    targets.some(
      (item) =>
        item.table === table &&
        item.table.statementTriggers.some((trigger) => trigger.before === before && trigger.events.includes(event)),
    ),
  );
}

function once(firings: readonly TriggerFiring[]): TriggerFiring[] {
  return firings.filter(
    ({ table, event }, at) => !firings.slice(0, at).some((each) => each.table === table && each.event === event),
  );
}

/** A plain INSERT looks at no row of its table. */
function readOf({ relation, isTarget, block }: RelationItem): RelationEntry[] {
  if (relation === null) return [];
  const looks = !isTarget || block.kind !== 'insert' || block.node.onConflictClause !== undefined;
  return looks ? [relation] : [];
}
