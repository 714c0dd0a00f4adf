import { isOwnSchema } from '../catalog/snapshot.ts';
import type { TriggerEvent } from '../catalog/statement-trigger.ts';
import { pgError, unsupported } from '../core/errors.ts';
import type { ConstraintShape, ForeignReference, IndexShape, TableShape, TriggerShape } from './table-shape.ts';

/** What keeps a table from being distributed by `key`, or from staying so after a DDL statement. */
export function checkDistributable(shape: TableShape, key: readonly number[] | null): void {
  checkOrdinary(shape);
  for (const trigger of shape.triggers) checkTrigger(shape, trigger);
  for (const constraint of shape.constraints) checkConstraint(shape, constraint, key);
  for (const index of shape.indexes) checkIndex(shape, index);
}

export function checkOrdinary(shape: TableShape): void {
  const name = `table "${shape.name}"`;
  if (shape.kind === 'p') throw unsupported('PH031', `${name} is partitioned`);
  if (shape.kind !== 'r') throw pgError('wrongObjectType', `"${shape.name}" is not a table`);
  if (shape.isPartition || shape.hasRelatives) throw unsupported('PH031', `${name} inherits, or is inherited from`);
  if (systemSchemas.has(shape.schema) || isOwnSchema(shape.schema)) {
    throw pgError('wrongObjectType', `${name} belongs to the system and can't be distributed`);
  }
  if (shape.persistence === 't') throw unsupported('PH031', `${name} is temporary`);
  if (shape.hasRules) throw unsupported('PH034', `${name} has rules`);
  const bytes = Buffer.byteLength(shape.schema);
  if (bytes > maxSchemaBytes) throw unsupported('PH036', `the name of schema "${shape.schema}" is ${bytes} bytes long`);
}

const systemSchemas: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema', 'pg_toast']);

/** `pgherd_s127_pgherd_gui_` before it must fit into a name's 63 bytes. */
const maxSchemaBytes = 40;

/** Statement triggers fire on the coordinator, for what the router sends (fire-triggers.ts). */
function checkTrigger(shape: TableShape, trigger: TriggerShape): void {
  const refuse = (what: string) => unsupported('PH033', `trigger "${trigger.name}" of table "${shape.name}" ${what}`);
  if (trigger.transitionTables) throw refuse('uses transition tables');
  if (trigger.row || trigger.enabled === 'D') return;
  if (trigger.enabled !== 'O') throw refuse('is a statement-level trigger with ENABLE ALWAYS or ENABLE REPLICA');
  const key = shape.constraints.find(
    ({ reference }) => reference && actsOn(reference).some((event) => trigger.events.includes(event)),
  );
  if (key)
    throw refuse(`is a statement-level trigger that would fire for what foreign key "${key.name}" does on the nodes`);
}

/** What a foreign key's actions do to the referencing table. */
function actsOn({ onUpdate, onDelete }: ForeignReference): TriggerEvent[] {
  const isAction = (action: string) => action === 'c' || action === 'n' || action === 'd';
  return [
    ...(onDelete === 'c' ? ['delete' as const] : []),
    ...(isAction(onUpdate) || onDelete === 'n' || onDelete === 'd' ? ['update' as const] : []),
  ];
}

function checkConstraint(shape: TableShape, constraint: ConstraintShape, key: readonly number[] | null): void {
  const name = `constraint "${constraint.name}" of table "${shape.name}"`;
  if (constraint.noInherit) throw unsupported('PH034', `${name} is NO INHERIT`);
  const comparesKey = key?.every((attnum) => constraint.index?.equalColumns.includes(attnum)) ?? false;
  if (constraint.type === 'x' && !comparesKey) {
    throw unsupported('PH034', `exclusion ${name} does not compare the distribution column with =`);
  }
}

function checkIndex(shape: TableShape, index: IndexShape): void {
  if (index.valid) return;
  throw pgError('objectNotInPrerequisiteState', `index "${index.name}" of table "${shape.name}" is invalid`, {
    hint: 'Drop it, or REINDEX it first.',
  });
}
