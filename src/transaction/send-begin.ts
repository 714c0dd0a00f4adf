import type { ServerConnection } from '../backend/server-connection.ts';
import { isPlain, type OpenBlock } from './open-block.ts';

/** What no server has a reason to refuse: nobody waits for the answer, and what follows leaves in the same packet. */
const plainBegins: ReadonlySet<string> = new Set([
  ...['begin', 'begin work', 'begin transaction', 'start transaction'],
  'begin; set local plan_cache_mode = force_generic_plan',
]);

export function needsNoAnswer(block: OpenBlock): boolean {
  return plainBegins.has(block.begin.toLowerCase()) && isPlain(block);
}

export function sendBegin(connection: ServerConnection, sql: string): void {
  connection.cork();
  // Whatever comes after it must not run outside of the block.
  connection.query(sql).catch(() => connection.close());
  process.nextTick(() => connection.uncork());
}
