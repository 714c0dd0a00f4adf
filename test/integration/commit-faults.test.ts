import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fate } from '../harness/fault-proxy.ts';
import { type FaultyHerd, startFaultyHerd } from '../harness/faulty-herd.ts';

/*
 * Every step of the commit protocol, struck by every fault, before its message arrives and after. Half of the cases in an
 * ordinary run, all of them with PGHERD_LONG=1.
 */

const long = process.env['PGHERD_LONG'] === '1';

/** A message of the protocol: where it goes and how it is known. */
const steps = {
  prepare: { server: 'worker2', text: /PREPARE TRANSACTION/ },
  /** In the coordinator's own transaction, or apart: a list of keys. */
  decide: { server: 'coordinator', text: /decide_commit|\{pgherd:/ },
  tell: { server: 'worker2', text: /COMMIT PREPARED/ },
} as const;

type Step = keyof typeof steps;
type When = 'before' | 'after';
const faults = [
  'the connection is cut',
  'the node is killed',
  'the coordinator is killed',
  'the router is killed',
] as const;
type Fault = (typeof faults)[number];

interface Case {
  readonly step: Step;
  readonly when: When;
  readonly fault: Fault;
  readonly coordinatorWrites: boolean;
}

const cases: Case[] = (Object.keys(steps) as Step[])
  .flatMap((step) => (['before', 'after'] as const).map((when) => ({ step, when })))
  .flatMap((each, i) => faults.map((fault, j) => ({ ...each, fault, coordinatorWrites: (i + j) % 2 === 0 })))
  .flatMap((each) => (long ? [each, { ...each, coordinatorWrites: !each.coordinatorWrites }] : [each]));

let herd: FaultyHerd;
/** An id on each node. */
let ids: number[];
let value = 0;

beforeAll(async () => {
  herd = await startFaultyHerd(2);
  const client = await connect(herd.url);
  await client.query('CREATE TABLE t (id integer PRIMARY KEY, v integer NOT NULL)');
  await client.query("SELECT create_distributed_table('t', 'id')");
  await client.query('CREATE TABLE l (v integer NOT NULL)');
  await client.query('INSERT INTO t SELECT g, 0 FROM generate_series(1, 20) g');
  await client.query('INSERT INTO l VALUES (0)');
  ids = [];
  for (const node of herd.nodes) {
    ids.push((await ask(node, 'SELECT min(id) FROM t'))[0]![0] as number);
  }
  await client.end();
});

afterAll(async () => {
  await herd?.stop();
});

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function ask({ host, port }: { host: string; port: number }, sql: string): Promise<unknown[][]> {
  const client = await connect(`postgresql://postgres@${host}:${port}/postgres`);
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

type Told = 'committed' | 'aborted' | 'unknown';

async function commit(to: number, coordinatorWrites: boolean): Promise<Told> {
  const client = await connect(herd.url);
  try {
    await client.query('BEGIN');
    for (const id of ids) await client.query('UPDATE t SET v = $1 WHERE id = $2', [to, id]);
    if (coordinatorWrites) await client.query('UPDATE l SET v = $1', [to]);
    await client.query('COMMIT');
    return 'committed';
  } catch (error) {
    const { code } = error as { code?: string };
    // Without a SQLSTATE the router is gone.
    return code === undefined || code === '08007' || !/^[0-9A-Z]{5}$/.test(code) ? 'unknown' : 'aborted';
  } finally {
    await client.end().catch(() => {});
  }
}

/** Arms the proxies for one case; gives what tells whether it struck, and heals. */
function arm({ step, when, fault }: Case): { struck: () => boolean; heal: () => Promise<void> } {
  const { server, text } = steps[step];
  let struck = false;
  let crashed: string | null = null;
  const crash = (name: string) => {
    crashed = name;
    return herd.byName.get(name)!.crash();
  };
  const strike = async (): Promise<void> => {
    if (fault === 'the node is killed') await crash('worker2');
    if (fault === 'the coordinator is killed') await crash('coordinator');
    if (fault === 'the router is killed') await herd.killRouter();
  };
  /** Its own connection lives on when another server dies. */
  const elsewhere =
    (fault === 'the node is killed' && server === 'coordinator') ||
    (fault === 'the coordinator is killed' && server !== 'coordinator');
  herd.proxies.get(server)!.fateOf = async (message): Promise<Fate> => {
    if (struck || !text.test(message.text)) return { kind: 'pass' };
    struck = true;
    if (when === 'before') {
      await strike();
      return { kind: elsewhere ? 'pass' : 'cut before' };
    }
    if (!elsewhere) return { kind: 'cut after', struck: strike };
    setTimeout(() => void strike(), 5);
    return { kind: 'pass' };
  };
  const heal = async () => {
    herd.proxies.get(server)!.fateOf = () => ({ kind: 'pass' });
    if (crashed !== null) await herd.byName.get(crashed)!.restart();
    if (fault === 'the router is killed') await herd.startRouter();
  };
  return { struck: () => struck, heal };
}

test.each(cases)(
  '$when "$step" $fault (the coordinator writes: $coordinatorWrites): all servers agree',
  async (each) => {
    const before = value;
    value += 1;
    const { struck, heal } = arm(each);
    const told = await commit(value, each.coordinatorWrites);
    if (!struck()) throw new Error('the fault did not strike');
    // A server that is to die after the message may still be dying.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await heal();
    await expect
      .poll(
        async () =>
          (await Promise.all(herd.nodes.map((node) => ask(node, 'SELECT gid FROM pg_prepared_xacts')))).flat(),
        { timeout: 30_000, interval: 200 },
      )
      .toEqual([]);
    const values = await Promise.all(herd.nodes.map((node, i) => ask(node, `SELECT v FROM t WHERE id = ${ids[i]}`)));
    if (each.coordinatorWrites) values.push(await ask(herd.coordinator, 'SELECT v FROM l'));
    const distinct = new Set(values.map((rows) => rows[0]![0]));
    expect(distinct.size, `${[...distinct]}`).toBe(1);
    const [now] = [...distinct];
    if (told === 'committed') expect(now).toBe(value);
    else if (told === 'aborted') expect(now).toBe(before);
    else expect([before, value]).toContain(now);
    value = now as number;
    await ask(herd.coordinator, `UPDATE l SET v = ${value}`);
    // Sessions live on; a reader sees what the servers have.
    const client = await connect(herd.url);
    // While the last of it is cleared away, a reader may be told to come again (55P03).
    const read = () => client.query('SELECT DISTINCT v FROM t WHERE id = ANY ($1)', [ids]);
    await expect
      .poll(async () => (await read().catch(({ code }) => ({ rows: [code] }))).rows, { timeout: 60_000, interval: 200 })
      .toEqual([{ v: now }]);
    await client.end();
  },
);

test('while one node is told late, readers of both wait and see all of it', async () => {
  value += 1;
  herd.proxies.get('worker2')!.fateOf = ({ text }) =>
    text.includes('COMMIT PREPARED') ? { kind: 'delay', ms: 700 } : { kind: 'pass' };
  const writing = commit(value, false);
  const client = await connect(herd.url);
  const seen = new Set<string>();
  let reads = 0;
  let over = false;
  const reading = (async () => {
    // One may wait for as long as the commit lasts.
    for (; !over || reads < 2; reads++) {
      const { rows } = await client.query('SELECT v FROM t WHERE id = ANY ($1)', [ids]);
      seen.add(rows.map(({ v }) => v).join());
    }
  })();
  expect(await writing).toBe('committed');
  over = true;
  await reading;
  herd.proxies.get('worker2')!.fateOf = () => ({ kind: 'pass' });
  await client.end();
  expect(reads).toBeGreaterThan(1);
  for (const pair of seen) expect(new Set(pair.split(',')).size).toBe(1);
});

test('a statement that combines rows of nodes with a table of the coordinator sees both at one moment', async () => {
  // So that both have the same value before.
  value += 1;
  expect(await commit(value, true)).toBe('committed');
  const reader = await connect(herd.url);
  await reader.query('SET pgherd.force_rung = gather');
  // The coordinator's part of the statement, with the nodes' rows in it, comes late.
  herd.proxies.get('coordinator')!.fateOf = ({ text }) =>
    text.includes('v_and_l') && text.includes('unnest') ? { kind: 'delay', ms: 500 } : { kind: 'pass' };
  const sql = 'SELECT t.v AS v_and_l, l.v AS l FROM t, l WHERE t.id = $1';
  const reading = reader.query(sql, [ids[0]]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (let turn = 0; turn < 3; turn++) {
    value += 1;
    expect(await commit(value, true)).toBe('committed');
  }
  const { rows } = await reading;
  expect(rows[0].v_and_l).toBe(rows[0].l);
  herd.proxies.get('coordinator')!.fateOf = () => ({ kind: 'pass' });
  await reader.end();
});
