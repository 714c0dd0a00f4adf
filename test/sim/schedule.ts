import { Random } from '../differential/random.ts';
import { badRead, type Read, type SimTransaction } from './history.ts';
import { SimRouter } from './router.ts';
import type { Bug } from './sabotage.ts';
import { SimServer } from './servers.ts';
import { World } from './world.ts';

/** The coordinator and three nodes. */
const allSites = [0, 1, 2, 3];
const busyMs = 600;
/** Longer than any message is on its way, and than several sweeps take. */
const healMs = 3_000;

export interface ScheduleResult {
  readonly violation: string | null;
  readonly committed: number;
  readonly aborted: number;
  readonly reads: number;
}

/**
 * One history: routers commit and read while servers, routers and connections fail at random; then everything comes back, and what is
 * left is looked at. The same seed gives the same history.
 */
export function runSchedule(seed: number, bug: Bug | null = null): ScheduleResult {
  const random = new Random(seed);
  const world = new World(random);
  const servers = allSites.map(() => new SimServer());
  const shares = random.chance(0.5);
  let routerIds = 0;
  const start = () => new SimRouter(world, servers, { id: routerIds++, shares, bug });
  let routers = Array.from({ length: shares ? random.int(2, 3) : 1 }, start);
  const transactions: SimTransaction[] = [];
  const reads: Read[] = [];
  const faults = random.pick([0, 1, 2, 4, 6]);

  const begin = () => {
    const ready = routers.filter((router) => router.alive && router.ready);
    if (ready.length === 0) return;
    const router = random.pick(ready);
    if (random.chance(0.55)) {
      const sites = random.sample(allSites, random.pick([2, 3, 3, 4]));
      router.read(sites, (read) => void reads.push(read));
      return;
    }
    if (transactions.length >= 30) return;
    const sites = random.sample(allSites, random.pick([1, 1, 2, 2, 2, 3, 3]));
    const transaction: SimTransaction = {
      bit: 1 << transactions.length,
      router: router.id,
      sites,
      beganMs: world.nowMs,
      told: null,
      toldMs: Number.POSITIVE_INFINITY,
    };
    transactions.push(transaction);
    router.run(transaction);
  };

  const fail = () => {
    const kind = random.weighted([
      [3, 'cut'],
      [1, 'lock'],
      [2, 'node'],
      [1, 'coordinator'],
      [2, 'router'],
    ] as const);
    if (kind === 'cut') return random.pick(routers).cutSomething();
    if (kind === 'lock') return random.pick(routers).cutLock();
    if (kind === 'router') {
      const living = routers.filter(({ alive }) => alive);
      if (living.length === 0) return;
      const router = random.pick(living);
      router.kill();
      // Another one takes its place when its connections are gone; one that shares the herd comes at once.
      world.after(shares ? random.int(0, 50) : random.int(250, 350), () => {
        routers = [...routers.filter((other) => other !== router), start()];
      });
      return;
    }
    const server = kind === 'coordinator' ? servers[0]! : servers[random.int(1, 3)]!;
    if (!server.up) return;
    server.crash();
    world.after(random.int(10, 200), () => {
      server.up = true;
    });
  };

  for (let i = random.int(8, 30); i > 0; i--) world.after(random.int(20, busyMs), begin);
  for (let i = 0; i < faults; i++) world.after(random.int(30, busyMs), fail);
  world.runUntil(busyMs + healMs);
  const violation = judge(servers, transactions, reads);
  const count = (told: SimTransaction['told']) => transactions.filter((each) => each.told === told).length;
  return { violation, committed: count('committed'), aborted: count('aborted'), reads: reads.length };
}

function judge(
  servers: readonly SimServer[],
  transactions: readonly SimTransaction[],
  reads: readonly Read[],
): string | null {
  for (const read of reads) {
    const bad = badRead(read, transactions);
    if (bad !== null) return bad;
  }
  const left = servers.flatMap((server) => [...server.prepared.keys()]);
  if (left.length > 0) return `still prepared: ${left.join(', ')}`;
  for (const { bit, sites, told } of transactions) {
    const shown = sites.map((site) => (servers[site]!.visible & bit) !== 0);
    if (shown.some(Boolean) !== shown.every(Boolean)) return `transaction ${bit} is on some of its servers only`;
    if (told === 'committed' && !shown[0]) return `transaction ${bit} was acknowledged and is lost`;
    if (told === 'aborted' && shown[0]) return `transaction ${bit} was refused and is there`;
  }
  const rows = [...servers[0]!.decisions].filter(([, { decision }]) => decision === 'commit');
  return rows.length > 0 ? `decisions are kept: ${rows.map(([key]) => key).join(', ')}` : null;
}
