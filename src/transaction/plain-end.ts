import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import type { Members } from './members.ts';

/** The COMMIT of one server is all that a block needs. `decider` null: no server takes part. */
export interface PlainEnd {
  readonly decider: { readonly site: Site; readonly connection: ServerConnection; readonly written: boolean } | null;
  readonly readers: readonly { readonly site: Site; readonly connection: ServerConnection }[];
}

/** Null: several servers have written, a connection is at work or lost, or one stays with the session. */
export function plainEndOf(members: Members, coordinatorIsPinned: boolean): PlainEnd | null {
  if (members.areJoining) return null;
  for (const { site, connection } of members.all) {
    if (connection.closed || !connection.idle) return null;
    if (site === 'coordinator' && coordinatorIsPinned) return null;
  }
  const { participants } = members;
  const writers = participants.filter(({ written }) => written);
  if (writers.length > 1) return null;
  const decider = writers[0] ?? participants[0] ?? null;
  return { decider, readers: participants.filter((each) => each !== decider) };
}
