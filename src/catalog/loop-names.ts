import { quoteName } from './quote.ts';

/**
 * The way back: what functions on the coordinator read and write of distributed tables comes to the router as a client's statements,
 * sent by postgres_fdw. Each shell has a foreign table as its child, called after the shell's OID, whose server is the router.
 */

/** The foreign server, the schema of the foreign tables, and the user they log in as. */
export const loopName = 'pgherd_loop';

export function loopTable(oid: number): string {
  return `${loopName}.${quoteName(`t${oid}`)}`;
}

/** The OID of the shell that a foreign table stands for; null: the name is no such table's. */
export function shellOfLoopTable(schema: string | undefined, name: string | undefined): number | null {
  const match = schema === loopName ? /^t(\d+)$/.exec(name ?? '') : null;
  return match ? Number(match[1]) : null;
}

/** What postgres_fdw calls its connections: %p is the process id of the coordinator's backend. */
export const loopApplicationName = `${loopName} %p`;

/** The backend that a connection of the loop serves. */
export function backendOfLoop(applicationName: string | undefined): number | null {
  const match = new RegExp(`^${loopName} (\\d+)$`).exec(applicationName ?? '');
  return match ? Number(match[1]) : null;
}

/** The trigger that sends rows inserted into a shell on their way. Its name is sorted before those of referential integrity and users. */
export const insertBackName = '!pgherd_insert';
