import type { Observation } from './observation.ts';

/** Usable nodes of all nodes, in percent. A cluster that can't be reached has 0; null: nobody knows its nodes. */
export function healthScore({ cluster, nodes }: Observation): number | null {
  if (cluster.kind === 'unreachable') return 0;
  if (nodes.kind === 'unseen') return null;
  if (nodes.value.length === 0) return 0;
  const usable = nodes.value.filter(({ active, reachable }) => active && reachable !== false);
  return (usable.length / nodes.value.length) * 100;
}
