import { quoteIdentifier } from '../sql/quote.ts';
import type { TableShape } from './table-shape.ts';

/** The rows were seen by the triggers when they were first written. */
export function pauseTriggersSql(shape: TableShape): string[] {
  return shape.triggers.length > 0 ? [`ALTER TABLE ${shape.quotedName} DISABLE TRIGGER USER`] : [];
}

export function resumeTriggersSql(shape: TableShape): string[] {
  const states = { O: 'ENABLE', R: 'ENABLE REPLICA', A: 'ENABLE ALWAYS', D: null } as const;
  return shape.triggers.flatMap(({ name, enabled }) => {
    const state = states[enabled];
    return state ? [`ALTER TABLE ${shape.quotedName} ${state} TRIGGER ${quoteIdentifier(name)}`] : [];
  });
}
