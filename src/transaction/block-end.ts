import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import type { Participant } from './commit.ts';
import type { Members } from './members.ts';

/** How a block can end when nothing about it has to be waited for first. */
export type BlockEnd = PlainEnd | TwoPhaseEnd;

/** The COMMIT of one server is all that a block needs. `decider` null: no server takes part. */
export interface PlainEnd {
  readonly kind: 'plain';
  readonly decider: { readonly site: Site; readonly connection: ServerConnection; readonly written: boolean } | null;
  readonly readers: readonly { readonly site: Site; readonly connection: ServerConnection }[];
}

/** Several servers have written. */
export interface TwoPhaseEnd {
  readonly kind: 'two-phase';
  readonly participants: readonly Participant[];
}

/** Null: a connection is at work or lost, or one stays with the session. */
export function blockEndOf(members: Members, coordinatorIsPinned: boolean): BlockEnd | null {
  if (members.areJoining) return null;
  for (const { site, connection } of members.all) {
    if (connection.closed || !connection.idle) return null;
    if (site === 'coordinator' && coordinatorIsPinned) return null;
  }
  const { participants } = members;
  const writers = participants.filter(({ written }) => written);
  if (writers.length > 1) return { kind: 'two-phase', participants };
  const decider = writers[0] ?? participants[0] ?? null;
  return { kind: 'plain', decider, readers: participants.filter((each) => each !== decider) };
}
