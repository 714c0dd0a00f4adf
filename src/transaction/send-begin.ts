import type { ServerConnection } from '../backend/server-connection.ts';
import { isPlain, type OpenBlock } from './open-block.ts';
import type { SettingsSnapshot } from './settings.ts';

/** What no server has a reason to refuse: nobody waits for the answer, and what follows leaves in the same packet. */
const plainBegins: ReadonlySet<string> = new Set([
  ...['begin', 'begin work', 'begin transaction', 'start transaction'],
  'begin; set local plan_cache_mode = force_generic_plan',
]);

/** Nor may a cancel request or a timeout be about to end it: what follows would run outside of the block. */
export function needsNoAnswer(block: OpenBlock, connection: ServerConnection, { values }: SettingsSnapshot): boolean {
  const timeout = values.get('statement_timeout') ?? '0';
  if (connection.cancelling !== null || !/^0\w*$/.test(timeout)) return false;
  return plainBegins.has(block.begin.toLowerCase()) && isPlain(block);
}

export function sendBegin(connection: ServerConnection, sql: string): void {
  connection.cork();
  // Whatever comes after it must not run outside of the block.
  const beginning = connection
    .query(sql)
    .catch(() => connection.close())
    .finally(() => {
      if (connection.beginning === beginning) connection.beginning = null;
    });
  connection.beginning = beginning;
  process.nextTick(() => connection.uncork());
}
