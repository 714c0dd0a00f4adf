import { expect, test } from 'vitest';
import { findDeadlocks } from './deadlock.ts';

const party = (name: string, startedAtMs: number, ...backends: [number, number][]) => ({
  name,
  startedAtMs,
  backends: backends.map(([site, processId]) => ({ site, processId })),
});

test('two transactions that wait for each other on different nodes are a deadlock, and the younger one is its victim', () => {
  const old = party('old', 1, [1, 11], [2, 12]);
  const young = party('young', 2, [1, 21], [2, 22]);
  const deadlocks = findDeadlocks(
    [old, young],
    [
      { site: 1, waiting: 21, blockedBy: [11] },
      { site: 2, waiting: 12, blockedBy: [22] },
    ],
  );
  expect(deadlocks.map(({ victim, cycle }) => [victim.name, cycle.length])).toEqual([['young', 2]]);
});

test('a cycle on one server is left to PostgreSQL', () => {
  const parties = [party('a', 1, [1, 11]), party('b', 2, [1, 21])];
  const waits = [
    { site: 1, waiting: 21, blockedBy: [11] },
    { site: 1, waiting: 11, blockedBy: [21] },
  ];
  expect(findDeadlocks(parties, waits)).toEqual([]);
});

test('waiting without a cycle is no deadlock', () => {
  const parties = [party('a', 1, [1, 11], [2, 12]), party('b', 2, [1, 21]), party('c', 3, [2, 32])];
  const waits = [
    { site: 1, waiting: 21, blockedBy: [11] },
    { site: 2, waiting: 32, blockedBy: [12] },
  ];
  expect(findDeadlocks(parties, waits)).toEqual([]);
});

test('one victim is enough for two cycles that it is part of', () => {
  const a = party('a', 1, [1, 11], [2, 12]);
  const b = party('b', 2, [1, 21], [3, 23]);
  const victim = party('victim', 3, [1, 31], [2, 32], [3, 33]);
  const waits = [
    { site: 1, waiting: 31, blockedBy: [11, 21] },
    { site: 2, waiting: 12, blockedBy: [32] },
    { site: 3, waiting: 23, blockedBy: [33] },
  ];
  expect(findDeadlocks([a, b, victim], waits).map((deadlock) => deadlock.victim.name)).toEqual(['victim']);
});

test('a cycle on one server that leads over two backends of one transaction is found', () => {
  const reader = party('reader', 1, [1, 11], [1, 12]);
  const locker = party('locker', 2, [1, 21]);
  const waits = [
    { site: 1, waiting: 21, blockedBy: [11] },
    { site: 1, waiting: 12, blockedBy: [21] },
  ];
  expect(findDeadlocks([reader, locker], waits).map(({ victim }) => victim.name)).toEqual(['locker']);
});
