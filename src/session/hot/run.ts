import { fieldCountOf as describedFields } from '../../wire/backend.ts';
import type { PreparedStatement } from '../session-state.ts';
import type { Leaf, Route } from './route.ts';

/** A statement that is to run. */
export interface Run {
  readonly route: Route;
  readonly leaf: Leaf;
  /** In the extended protocol; null: in the simple one. */
  readonly prepared: PreparedStatement | null;
  /** Query or Bind. */
  readonly frame: Buffer;
  /** Messages that go to the client before any row. */
  readonly before: Buffer[];
  /** How many of the client's messages it is. */
  readonly messages: number;
}

/** As the client is told. */
export function fieldCountOf({ prepared, before: [description] }: Run): number | null {
  if (prepared !== null) return prepared.fields?.length ?? null;
  return description === undefined ? null : describedFields(description);
}
