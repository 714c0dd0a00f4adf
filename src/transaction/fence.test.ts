import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fence } from './fence.ts';

test('an opening and a commit are never inside together, and everybody gets in', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ opening: fc.boolean(), turns: fc.nat(3) }), { maxLength: 60 }),
      async (visitors) => {
        const fence = new Fence();
        const inside = { openings: 0, commits: 0 };
        let finished = 0;
        await Promise.all(
          visitors.map(async ({ opening, turns }) => {
            for (let turn = 0; turn < turns; turn++) await Promise.resolve();
            await (opening ? fence.enterOpening() : fence.enterCommit());
            inside[opening ? 'openings' : 'commits'] += 1;
            expect(Math.min(inside.openings, inside.commits)).toBe(0);
            for (let turn = 0; turn < turns; turn++) await Promise.resolve();
            inside[opening ? 'openings' : 'commits'] -= 1;
            if (opening) fence.leaveOpening();
            else fence.leaveCommit();
            finished += 1;
          }),
        );
        expect(finished).toBe(visitors.length);
      },
    ),
  );
});

test('commits that come while an opening waits let it go first', async () => {
  const fence = new Fence();
  expect(fence.enterCommit()).toBeNull();
  const opening = fence.enterOpening();
  const later = fence.enterCommit();
  expect(later).not.toBeNull();
  fence.leaveCommit();
  await opening;
  fence.leaveOpening();
  await later;
});
