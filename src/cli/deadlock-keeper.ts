import type { Site } from '../catalog/site.ts';
import type { Clock } from '../core/clock.ts';
import { PgError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { conditions } from '../core/sqlstate.ts';
import type { PeerParty, Peers } from '../session/peers.ts';
import type { SessionState } from '../session/session-state.ts';
import { type Deadlock, findDeadlocks, type Wait, type WaitingParty } from '../transaction/deadlock.ts';
import type { CatalogKeeper } from './catalog-keeper.ts';
import type { ControlPlane } from './control-plane.ts';

const lookIntervalMs = 500;
/** As PostgreSQL's deadlock_timeout: nobody is asked about waits before somebody has waited this long. */
const deadlockTimeoutMs = 1_000;

/** Of another worker: without a session. */
interface Party extends WaitingParty, PeerParty {
  readonly session: SessionState | null;
}

/**
 * Finds waiting in circles over several servers, and ends it: the youngest member's statement fails with 40P01. Workers look each for itself, see
 * the same circles, and each ends what is its own.
 */
export class DeadlockKeeper {
  readonly #control: ControlPlane;
  readonly #catalog: CatalogKeeper;
  readonly #sessions: ReadonlySet<SessionState>;
  readonly #peers: Peers;
  readonly #log: Log;
  readonly #clock: Clock;
  #stop: (() => void) | null = null;
  #looking = false;

  constructor(
    control: ControlPlane,
    catalog: CatalogKeeper,
    around: { sessions: ReadonlySet<SessionState>; peers: Peers; log: Log; clock: Clock },
  ) {
    this.#control = control;
    this.#catalog = catalog;
    this.#sessions = around.sessions;
    this.#peers = around.peers;
    this.#log = around.log;
    this.#clock = around.clock;
  }

  open(): void {
    this.#stop = this.#clock.every(lookIntervalMs, () => {
      if (this.#looking) return;
      this.#looking = true;
      this.#look()
        .catch((error) => this.#log.warn({ error: String(error) }, 'could not look for deadlocks'))
        .finally(() => {
          this.#looking = false;
        });
    });
  }

  close(): void {
    this.#stop?.();
  }

  async #look(): Promise<void> {
    const longAgoMs = this.#clock.nowMs() - deadlockTimeoutMs;
    const stuckIn = (parties: readonly Party[]) =>
      parties.filter(({ runningSinceMs }) => (runningSinceMs ?? Infinity) < longAgoMs);
    const own = partiesOf(this.#sessions).map((party) => ({ ...party.plain, session: party.session }));
    if (stuckIn(own).length === 0) return;
    const others = (await this.#peers.ask({ kind: 'parties' })).flat().map((party) => ({ ...party, session: null }));
    // All workers see them in the same order, so that they agree on the victim.
    const parties: Party[] = [...own, ...others].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    const stuck = stuckIn(parties);
    if (stuck.length < 2) return;
    const sites = new Set(stuck.flatMap((party) => party.backends.map((backend) => backend.site)));
    const waits = (await Promise.all([...sites].map((site) => this.#waitsOn(site)))).flat();
    for (const deadlock of findDeadlocks(parties, waits)) this.#break(deadlock);
  }

  async #waitsOn(site: Site): Promise<Wait[]> {
    const runner =
      site === 'coordinator' ? this.#control.coordinator : this.#control.node(site, this.#catalog.snapshot);
    const { rows } = await runner.query(
      `SELECT pid, array_to_string(pg_blocking_pids(pid), ',') FROM pg_catalog.pg_stat_activity
        WHERE wait_event_type = 'Lock'`,
    );
    return rows.map(([pid, blockers]) => ({
      site,
      waiting: Number(pid),
      blockedBy: (blockers ?? '').split(',').filter(Boolean).map(Number),
    }));
  }

  #break({ cycle, victim }: Deadlock<Party>): void {
    // Another worker's is ended there. The circle may have opened since it was seen.
    if (victim.session === null || victim.session.transaction.startedAtMs !== victim.startedAtMs) return;
    const names = cycle.map((party) => describe(party));
    const detail = names.map((name, index) => `${name} waits for ${names[(index + 1) % names.length]}.`).join('\n');
    this.#log.warn({ detail }, 'broke a deadlock over several servers');
    victim.session.cancelBecause(
      new PgError({
        severity: 'ERROR',
        code: conditions.deadlockDetected,
        message: 'deadlock detected',
        detail,
        hint: 'The transactions wait for each other on different nodes. Run this one again.',
      }),
    );
  }
}

/** The transactions of one worker. */
export function partiesOf(sessions: Iterable<SessionState>): { plain: PeerParty; session: SessionState }[] {
  const parties: { plain: PeerParty; session: SessionState }[] = [];
  for (const session of sessions) {
    const { startedAtMs, backends } = session.transaction;
    if (startedAtMs === null || backends.length === 0) continue;
    const { runningSinceMs, identity } = session;
    const places = backends.map(({ site, processId }) => ({ site, processId }));
    parties.push({ plain: { user: identity.user, startedAtMs, runningSinceMs, backends: places }, session });
  }
  return parties;
}

/** No two transactions share a backend. */
function nameOf({ backends: [first] }: Party): string {
  return `${first?.site}/${first?.processId}`;
}

function describe({ user, backends }: Party): string {
  const places = backends.map(
    ({ site, processId }) => `${site === 'coordinator' ? site : `node ${site}`} ${processId}`,
  );
  return `Transaction of ${user} (processes ${places.join(', ')})`;
}
