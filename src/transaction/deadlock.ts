import type { Site } from '../catalog/site.ts';

/** A transaction of this router, as far as waiting is concerned. */
export interface WaitingParty {
  /** When its block began. Milliseconds of the epoch. */
  readonly startedAtMs: number;
  /** Its backends. */
  readonly backends: readonly { readonly site: Site; readonly processId: number }[];
}

/** One backend waits for others on the same server: a row of `pg_blocking_pids`. */
export interface Wait {
  readonly site: Site;
  readonly waiting: number;
  readonly blockedBy: readonly number[];
}

export interface Deadlock<Party> {
  /** Each waits for the next, the last for the first. */
  readonly cycle: readonly Party[];
  /** The one that began last. */
  readonly victim: Party;
}

/** One party waits for another on a server, by these backends of theirs. */
interface Edge {
  readonly site: Site;
  readonly waiting: number;
  readonly blocker: number;
}

/**
 * Cycles of waiting that no server sees, since they lead over several servers, or over several backends of one transaction. A cycle that leads
 * over one backend of each member is PostgreSQL's own to break. At most one victim is named for each cycle; after it is gone the rest is
 * looked at anew.
 */
export function findDeadlocks<Party extends WaitingParty>(
  parties: readonly Party[],
  waits: readonly Wait[],
): Deadlock<Party>[] {
  const owner = new Map<string, Party>();
  for (const party of parties) {
    for (const { site, processId } of party.backends) owner.set(`${site}/${processId}`, party);
  }
  const edges = new Map<Party, Map<Party, Edge[]>>();
  for (const { site, waiting, blockedBy } of waits) {
    const from = owner.get(`${site}/${waiting}`);
    if (from === undefined) continue;
    for (const blocker of blockedBy) {
      const to = owner.get(`${site}/${blocker}`);
      if (to === undefined || to === from) continue;
      const targets = edges.get(from) ?? new Map<Party, Edge[]>();
      targets.set(to, [...(targets.get(to) ?? []), { site, waiting, blocker }]);
      edges.set(from, targets);
    }
  }
  const found: Deadlock<Party>[] = [];
  const doomed = new Set<Party>();
  for (const party of parties) {
    const cycle = cycleThrough(party, edges, doomed);
    if (cycle === null || isServersOwn(cycle, edges)) continue;
    const victim = cycle.reduce((youngest, each) => (each.startedAtMs > youngest.startedAtMs ? each : youngest));
    doomed.add(victim);
    found.push({ cycle, victim });
  }
  return found;
}

function cycleThrough<Party>(
  start: Party,
  edges: ReadonlyMap<Party, ReadonlyMap<Party, readonly Edge[]>>,
  doomed: ReadonlySet<Party>,
): Party[] | null {
  const visited = new Set<Party>();
  const search = (party: Party, path: readonly Party[]): Party[] | null => {
    for (const next of edges.get(party)?.keys() ?? []) {
      if (doomed.has(next)) continue;
      if (next === start) return [...path];
      if (visited.has(next)) continue;
      visited.add(next);
      const cycle = search(next, [...path, next]);
      if (cycle !== null) return cycle;
    }
    return null;
  };
  return doomed.has(start) ? null : search(start, [start]);
}

/** Each member waits by the very backend that is waited for. */
function isServersOwn<Party>(
  cycle: readonly Party[],
  edges: ReadonlyMap<Party, ReadonlyMap<Party, readonly Edge[]>>,
): boolean {
  const steps = cycle.map((party, index) => edges.get(party)!.get(cycle[(index + 1) % cycle.length]!)!);
  return steps.every((into, index) => {
    const out = steps[(index + 1) % steps.length]!;
    return into.some(({ site, blocker }) => out.some((next) => next.site === site && next.waiting === blocker));
  });
}
