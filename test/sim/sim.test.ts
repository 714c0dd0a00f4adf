import { expect, test } from 'vitest';
import { bugs, plantedBugs } from './sabotage.ts';
import { runSchedule } from './schedule.ts';

/* The protocols of src/transaction on simulated servers; `npm run sim` runs many more schedules. */

test('commits are atomic and readers see all or nothing, whatever fails', () => {
  let committed = 0;
  let reads = 0;
  for (let seed = 1; seed <= 2_000; seed++) {
    const result = runSchedule(seed);
    expect(result.violation, `seed ${seed}`).toBeNull();
    committed += result.committed;
    reads += result.reads;
  }
  // A simulation in which nothing happens shows nothing.
  expect(Math.min(committed, reads)).toBeGreaterThan(5_000);
});

test.each(bugs)('the simulation finds: %s', (bug) => {
  const seed = plantedBugs[bug];
  expect(runSchedule(seed, bug).violation).not.toBeNull();
  expect(runSchedule(seed).violation).toBeNull();
});
