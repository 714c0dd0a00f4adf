import { expect, test } from 'vitest';
import { type ActiveAlerts, advance, noAlerts } from './alerts.ts';
import { type AnswerTimes, withMedians } from './answer-times.ts';
import { type Finding, findingsOf, type Memory, noMemory, remember } from './findings.ts';
import { healthScore } from './health.ts';
import { type NodeState, type Observation, type ServerFacts, type ServerState, seen } from './observation.ts';
import { alertKinds, defaultRules, type Rules } from './rules.ts';
import { alertText, languages } from './texts.ts';

const rules: Rules = defaultRules;

const quiet: ServerFacts = {
  ...{ version: '18.0', upMs: 1_000, inRecovery: false, connections: 5, maxConnections: 97, active: 1 },
  ...{ transactions: 10, databaseBytes: 1_000_000, dataDirectory: null, xidAge: 100 },
  ...{ standbys: [], prepared: [], longTransactions: [], lockWaits: [], staleTables: [] },
};

const nodeNames = ['worker1', 'worker2'];
const node = (name: string, changes: Partial<NodeState> = {}): NodeState => ({
  ...{ id: Number(name.at(-1)), name, port: 5432, role: 'primary', active: true, reachable: true },
  ...changes,
});
const server = (name: string, facts: Partial<ServerFacts> | null = {}): ServerState => ({
  ...{ id: Number(name.at(-1)), name, port: 5432, answerMs: 5 },
  answer: facts === null ? { kind: 'none', why: 'refused' } : { kind: 'facts', facts: { ...quiet, ...facts } },
});

function observe(changes: Partial<Observation> = {}): Observation {
  return {
    ...{ atMs: 0, cluster: { kind: 'reached' }, nodes: seen(nodeNames.map((name) => node(name))) },
    servers: seen(nodeNames.map((name) => server(name))),
    shards: seen(nodeNames.map((name) => ({ node: name, count: 4, bytes: 100_000_000 }))),
    groups: seen([]),
    statements: seen({ statements: 1, calls: 1, averageTotalMs: 1, maxTotalMs: 1, byNode: [] }),
    ...{ slowQueries: seen([]), pools: seen([]), disks: seen([]) },
    ...changes,
  };
}

const onWorker1 = (facts: Partial<ServerFacts>) => observe({ servers: seen([server('worker1', facts)]) });
const shown = (seenNow: Observation, memory: Memory = noMemory) =>
  findingsOf(seenNow, rules, memory).map(({ kind, subject, severity }) => `${severity} ${kind} ${subject}`.trim());

const standby = {
  ...{ name: 'standby1', client: null, state: 'streaming', sync: 'async', sentBytes: 0, writeBytes: 0, flushBytes: 0 },
  ...{ writeMs: null, flushMs: null, replayMs: 1_500 },
};

const causes: readonly (readonly [string, Observation])[] = [
  ['critical clusterUnreachable', observe({ cluster: { kind: 'unreachable', why: 'refused' } })],
  ['critical nodeDown worker2', observe({ nodes: seen([node('worker1'), node('worker2', { reachable: false })]) })],
  ['critical nodeDown worker1', observe({ nodes: seen([node('worker1', { active: false })]) })],
  ['warning replayLag worker1/standby1', onWorker1({ standbys: [{ ...standby, replayBytes: 1_000_001 }] })],
  ['warning replayLag worker1/standby1', onWorker1({ standbys: [{ ...standby, replayBytes: 1, replayMs: 60_001 }] })],
  [
    'warning slowQueries',
    observe({
      slowQueries: seen([{ where: 'worker1', query: 'SELECT 1', calls: 1, totalMs: 1_001, meanMs: 1_001, rows: 1 }]),
    }),
  ],
  [
    'critical transactionInDoubt worker1',
    onWorker1({ prepared: [{ gid: 'pgherd:x:1:1:1', owner: 'postgres', ageMs: 60_000 }] }),
  ],
  [
    'warning longTransaction worker1',
    onWorker1({
      longTransactions: [
        { pid: 1, ageMs: 300_000, state: 'idle in transaction', user: 'u', application: '', query: 'SELECT 1' },
      ],
    }),
  ],
  [
    'warning lockWait worker1',
    onWorker1({ lockWaits: [{ pid: 1, ageMs: 30_000, query: 'UPDATE t', blocking: [2], blockingQuery: 'UPDATE t' }] }),
  ],
  [
    'critical poolExhausted worker1/postgres',
    observe({
      pools: seen([{ server: 'worker1', role: 'postgres', open: 40, busy: 40, waiting: 1, maxConnections: 40 }]),
    }),
  ],
  ['warning connections worker1', onWorker1({ connections: 80, maxConnections: 100 })],
  [
    'warning shardImbalance worker2',
    observe({
      shards: seen([
        { node: 'worker1', count: 4, bytes: 20_000_000 },
        { node: 'worker2', count: 4, bytes: 80_000_000 },
      ]),
    }),
  ],
  ['critical diskFull worker1', observe({ disks: seen([{ server: 'worker1', freeBytes: 9, totalBytes: 100 }]) })],
  ['info staleStatistics worker1', onWorker1({ staleTables: [{ table: 'public.t', changed: 10_000, live: 15_000 }] })],
  ['critical wraparound worker1', onWorker1({ xidAge: 1_000_000_000 })],
];

test.each(causes)('%s is found, alone', (expected, observation) => {
  expect(shown(observation)).toEqual([expected]);
});

test('a quiet cluster has no cause for an alert, and just below each threshold there is none', () => {
  expect(shown(observe())).toEqual([]);
  expect(shown(onWorker1({ standbys: [{ ...standby, replayBytes: 1_000_000 }], xidAge: 999_999_999 }))).toEqual([]);
  // PostgreSQL keeps the last time that it measured.
  expect(shown(onWorker1({ standbys: [{ ...standby, replayBytes: 0, replayMs: 99_000 }] }))).toEqual([]);
  expect(shown(onWorker1({ connections: 79, maxConnections: 100 }))).toEqual([]);
});

test('a severity of off silences a kind', () => {
  const [, down] = causes[1]!;
  expect(findingsOf(down, { ...rules, nodeDown: { severity: 'off' } }, noMemory)).toEqual([]);
});

test('sizes on a node that is down make no imbalance', () => {
  const observation = observe({
    nodes: seen([node('worker1'), node('worker2', { reachable: false })]),
    shards: seen([
      { node: 'worker1', count: 4, bytes: 90_000_000 },
      { node: 'worker2', count: 4, bytes: 0 },
    ]),
  });
  expect(shown(observation)).toEqual(['critical nodeDown worker2']);
});

test('a node that comes and goes is told as flapping, until it has been calm for the window', () => {
  let memory: Memory = noMemory;
  const at = (atMs: number, reachable: boolean) => {
    const observation = observe({ atMs, nodes: seen([node('worker1', { reachable })]) });
    memory = remember(memory, observation, rules);
    return shown(observation, memory).filter((text) => text.includes('Flapping'));
  };
  for (const [i, up] of [true, false, true, false].entries()) expect(at(i * 1_000, up)).toEqual([]);
  expect(at(4_000, true)).toEqual(['warning nodeFlapping worker1']);
  expect(at(605_000, true)).toEqual([]);
});

test('an alert begins once, keeps its beginning, and ends once', () => {
  const [, down] = causes[1]!;
  const steps: [Observation, string[]][] = [
    [{ ...down, atMs: 1 }, ['begin nodeDown']],
    [{ ...down, atMs: 2 }, []],
    [observe({ atMs: 3 }), ['end nodeDown']],
    [observe({ atMs: 4 }), []],
  ];
  let active: ActiveAlerts = noAlerts;
  for (const [observation, expected] of steps) {
    const step = advance(active, findingsOf(observation, rules, noMemory), observation);
    expect(step.events.map(({ kind, alert }) => `${kind} ${alert.kind}`)).toEqual(expected);
    for (const { alert } of step.events) expect(alert.sinceMs).toBe(1);
    active = step.active;
  }
});

test('an alert whose part of the cluster can’t be seen goes on', () => {
  const lagging = onWorker1({ standbys: [{ ...standby, replayBytes: 5_000_000 }] });
  const { active } = advance(noAlerts, findingsOf(lagging, rules, noMemory), lagging);
  const unseen = observe({ servers: { kind: 'unseen', why: 'no answer' } });
  const silent = observe({ servers: seen([server('worker1', null)]) });
  for (const observation of [unseen, silent]) expect(advance(active, [], observation).events).toEqual([]);
  expect(advance(active, [], observe()).events).toMatchObject([{ kind: 'end', alert: { kind: 'replayLag' } }]);
});

test('how fast a server answers is the median of its last looks', () => {
  const at = (answerMs: number) => observe({ servers: seen([{ ...server('worker1'), answerMs }]) });
  let times: AnswerTimes = new Map();
  const shownMs = [10, 900, 20, 800, 700].map((ms) => {
    const step = withMedians(at(ms), times);
    times = step.times;
    return step.observation.servers.kind === 'seen' ? step.observation.servers.value[0]?.answerMs : null;
  });
  expect(shownMs).toEqual([10, 10, 20, 20, 700]);
  for (let i = 0; i < 20; i++) times = withMedians(at(5), times).times;
  expect(times.get('worker1')).toEqual(new Array(9).fill(5));
});

test('the score is the share of nodes that can be used', () => {
  const nodes = seen([node('worker1'), node('worker2', { reachable: false }), node('worker3', { active: false })]);
  expect(healthScore(observe())).toBe(100);
  expect(healthScore(observe({ nodes }))).toBeCloseTo(33.3, 1);
  expect(healthScore(observe({ cluster: { kind: 'unreachable', why: '' } }))).toBe(0);
  expect(healthScore(observe({ nodes: { kind: 'unseen', why: '' } }))).toBeNull();
});

test('each kind of alert says in both languages what is the matter and what to do', () => {
  const findings = causes.flatMap(([, observation]) => findingsOf(observation, rules, noMemory));
  const flapping: Finding = {
    ...{ kind: 'nodeFlapping', subject: 'worker1', severity: 'warning' },
    details: { changes: 4, windowMs: 600_000 },
  };
  const all = [...findings, flapping];
  expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(alertKinds));
  for (const finding of all)
    for (const language of languages) {
      const { message, advice } = alertText(finding, language);
      expect(message).not.toMatch(/undefined|NaN|null/);
      expect(`${message}${advice}`).not.toMatch(/undefined|NaN|null/);
      expect(advice.length).toBeGreaterThan(15);
    }
});
