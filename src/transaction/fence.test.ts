import fc from 'fast-check';
import { expect, test } from 'vitest';
import { systemClock } from '../core/clock.ts';
import { Fence } from './fence.ts';

const never = new AbortController().signal;
const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
};

test('an opening and a commit are never inside together, and everybody gets in', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ opening: fc.boolean(), now: fc.boolean(), turns: fc.nat(3) }), { maxLength: 60 }),
      async (visitors) => {
        const fence = new Fence(systemClock);
        const inside = { openings: 0, commits: 0 };
        let finished = 0;
        const visit = async (side: keyof typeof inside, count: number) => {
          inside[side] += 1;
          expect(Math.min(inside.openings, inside.commits)).toBe(0);
          await turns(count);
          inside[side] -= 1;
          finished += 1;
        };
        await Promise.all(
          visitors.map(async ({ opening, now, turns: count }) => {
            await turns(count);
            if (opening && now && fence.enterNow([1, 2])) {
              await visit('openings', count);
              expect(fence.leaveNow()).toBe('sure');
              return;
            }
            if (opening) {
              await fence.open([1, 2], never, () => visit('openings', count));
              return;
            }
            await fence.enterCommit();
            await visit('commits', count);
            fence.leaveCommit();
          }),
        );
        expect(finished).toBe(visitors.length);
      },
    ),
  );
});

test('commits that come while an opening waits let it go first', async () => {
  const fence = new Fence(systemClock);
  expect(fence.enterCommit()).toBeNull();
  const order: string[] = [];
  const opening = fence.open([1, 2], never, async () => order.push('opening'));
  await turns(3);
  const later = Promise.resolve(fence.enterCommit()).then(() => order.push('commit'));
  fence.leaveCommit();
  await Promise.all([opening, later]);
  expect(order).toEqual(['opening', 'commit']);
});

test('an opening that may not wait begins only where nothing stands in its way', async () => {
  const fence = new Fence(systemClock);
  expect(fence.enterCommit()).toBeNull();
  expect(fence.enterNow([1, 2])).toBe(false);
  fence.leaveCommit();
  expect(fence.enterNow([1, 2])).toBe(true);
  expect(fence.opening).toBe(true);
  const commit = Promise.resolve(fence.enterCommit());
  // The commit that waits goes first.
  expect(fence.enterNow([1, 2])).toBe(false);
  expect(fence.leaveNow()).toBe('sure');
  await commit;
  fence.leaveCommit();
  fence.markUnsettled('gid', [2]);
  expect([fence.enterNow([1, 3]), fence.enterNow([1, 2])]).toEqual([true, false]);
  fence.suspend();
  expect(fence.leaveNow()).toBe('doubtful');
  fence.resume();
  fence.markSettled(['gid']);
  await fence.shareWith({ acquire: () => {}, release: () => {}, confirm: async () => true });
  expect(fence.enterNow([1, 2])).toBe(false);
});

test('an opening over a node that was not told of a commit waits until it is; others go on', async () => {
  const fence = new Fence(systemClock);
  let asked = 0;
  fence.onNeeded = () => {
    asked += 1;
  };
  fence.markUnsettled('t', [2, 3]);
  let opened = false;
  const opening = fence.open([1, 2], never, async () => {
    opened = true;
  });
  expect((await fence.open([1, 4], never, async () => 'elsewhere')).value).toBe('elsewhere');
  expect([opened, asked]).toEqual([false, 1]);
  fence.markTold('t', [3]);
  await turns(5);
  expect(opened).toBe(false);
  fence.markTold('t', [2]);
  await opening;
  expect(opened).toBe(true);
});

test('a cancelled statement waits no longer', async () => {
  const fence = new Fence(systemClock);
  await fence.enterCommit();
  const statement = new AbortController();
  const opening = fence.open([1, 2], statement.signal, async () => 'never');
  statement.abort();
  await expect(opening).rejects.toMatchObject({ code: '57014' });
  fence.leaveCommit();
  expect((await fence.open([1, 2], never, async () => 'next')).value).toBe('next');
});
