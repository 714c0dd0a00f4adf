import type { SettingsSnapshot } from '../transaction/settings.ts';

const ofCoordinator = 'coordinator';
const ofNodes = 'router';

/** A session that has no application_name is called after what its connections serve: in pg_stat_activity of the servers, not to its client. */
export function sessionSettings(server: string): ReadonlyMap<string, string> {
  const isCoordinator = server === 'coordinator';
  return new Map([
    ['client_encoding', 'UTF8'],
    ['application_name', isCoordinator ? ofCoordinator : ofNodes],
    // On a node co-located tables are partitioned alike: what is joined on the key is joined shard by shard.
    ...(isCoordinator ? [] : ([['enable_partitionwise_join', 'on']] as const)),
  ]);
}

/** The name as the client gave it. */
export function shownApplicationName(settings: SettingsSnapshot, value: string): string {
  return value === ofCoordinator && !settings.values.has('application_name') ? '' : value;
}
