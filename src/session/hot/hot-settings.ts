import { milliseconds } from '../idle-timeouts.ts';

/** What the router counts or does itself under these settings takes its other way. */
export function hotSettings(values: ReadonlyMap<string, string>): boolean {
  for (const name of timeouts) if (milliseconds(values.get(name) ?? '0') !== 0) return false;
  const isolation = values.get('default_transaction_isolation') ?? 'read committed';
  if (isolation !== 'read committed' && isolation !== 'read uncommitted') return false;
  // The monitor's own statements are not counted.
  if (values.get('pgherd.measure') === 'off') return false;
  return (values.get('standard_conforming_strings') ?? 'on') === 'on' && (values.get('pgherd.force_rung') ?? '') === '';
}

const timeouts = [
  'statement_timeout',
  'transaction_timeout',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
];
