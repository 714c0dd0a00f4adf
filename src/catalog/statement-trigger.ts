/** What statement triggers of a table wait for. Switched-off ones are left out. */
export interface StatementTrigger {
  readonly before: boolean;
  readonly events: readonly TriggerEvent[];
}

export type TriggerEvent = 'insert' | 'update' | 'delete' | 'truncate';

/** A statement is about to change a table, or has done so: the table's statement triggers are to fire. */
export interface TriggerFiring {
  readonly table: { readonly oid: number; readonly schema: string; readonly name: string };
  readonly event: TriggerEvent;
  /** Of an update: the assigned columns, by which triggers with UPDATE OF judge. */
  readonly columns: readonly string[];
}

/** `pg_trigger.tgtype`: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate. */
export function readTriggerType(tgtype: number): StatementTrigger {
  return { before: (tgtype & 2) !== 0, events: triggerEvents(tgtype) };
}

export function triggerEvents(tgtype: number): TriggerEvent[] {
  return eventBits.flatMap(([event, bit]) => ((tgtype & bit) === 0 ? [] : [event]));
}

const eventBits = [
  ['insert', 4],
  ['update', 16],
  ['delete', 8],
  ['truncate', 32],
] as const satisfies readonly (readonly [TriggerEvent, number])[];
