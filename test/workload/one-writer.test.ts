import { describe, expect, test } from 'vitest';
import { countLongForks, findCausalAnomaly, type TimedEntry } from './causality-checker.ts';
import { findAnomaly, type Operation } from './list-append-checker.ts';
import { append, keys, read, useLists } from './lists.ts';

/* Commits on one node each, which take no part in two-phase commit, and readers over all nodes. */

function committed(id: number, beganMs: number, endedMs: number, ...ops: Operation[]): TimedEntry {
  return { id, outcome: 'committed', beganMs, endedMs, ops };
}

describe('the checker', () => {
  const first = committed(1, 0, 10, append('x', 1));
  const second = committed(2, 11, 20, append('y', 1));

  test('finds nothing in an honest history', () => {
    const readers = [
      committed(3, 5, 8, read('x'), read('y')),
      committed(4, 12, 15, read('x', 1), read('y')),
      committed(5, 30, 40, read('x', 1), read('y', 1)),
    ];
    expect(findCausalAnomaly([first, second, ...readers])).toBeNull();
  });

  test('finds an acknowledged commit that a later reader misses', () => {
    expect(findCausalAnomaly([first, committed(3, 11, 12, read('x'), read('y'))])).toMatch(/did not see 1/);
  });

  test('finds an effect that was seen without its cause', () => {
    const reader = committed(3, 5, 25, read('x'), read('y', 1));
    expect(findCausalAnomaly([first, second, reader])).toMatch(/saw 2 without its cause 1/);
  });

  test('counts long forks, and lets those of commits under way together pass', () => {
    const together = committed(2, 0, 20, append('y', 1));
    const readers = [committed(3, 1, 8, read('x', 1), read('y')), committed(4, 1, 8, read('x'), read('y', 1))];
    expect(countLongForks([first, together, ...readers])).toBe(1);
    expect(findCausalAnomaly([first, together, ...readers])).toBeNull();
  });
});

describe('on a herd', () => {
  const connect = useLists();

  test('no reader misses what was acknowledged, nor sees an effect without its cause', async () => {
    const history: TimedEntry[] = [];
    const stopMs = performance.now() + 4_000;
    let ids = 0;
    const note = async (ops: () => Promise<Operation[]>) => {
      const id = ++ids;
      const beganMs = performance.now();
      const done = await ops();
      history.push(committed(id, beganMs, performance.now(), ...done));
    };
    const write = async (key: string) => {
      const client = await connect();
      for (let value = 1; performance.now() < stopMs; value++) {
        await note(async () => {
          await client.query('UPDATE lists SET v = v || $1::integer WHERE k = $2', [value, key]);
          return [append(key, value)];
        });
      }
      await client.end();
    };
    const watch = async () => {
      const client = await connect();
      const readAll = async () => {
        const { rows } = await client.query('SELECT k, v FROM lists');
        return rows.map(({ k, v }) => read(k, ...v));
      };
      while (performance.now() < stopMs) await note(readAll);
      await note(readAll);
      await client.end();
    };
    await Promise.all([...keys.slice(0, 4).map(write), watch(), watch()]);
    const client = await connect();
    await note(async () =>
      (await client.query('SELECT k, v FROM lists')).rows.map(({ k, v }) => read(k, ...(v as number[]))),
    );
    await client.end();
    expect(findCausalAnomaly(history)).toBeNull();
    expect(findAnomaly(history)).toBeNull();
    expect(history.length).toBeGreaterThan(50);
    expect(findCausalAnomaly(withStaleRead(history))).toMatch(/did not see/);
  }, 60_000);

  /** The last read with one value less, as if one node's snapshot were old. */
  function withStaleRead(history: readonly TimedEntry[]): TimedEntry[] {
    const last = history.at(-1)!;
    const ops = last.ops.map((op) =>
      op.kind === 'read' && op.key === 'k0' ? { ...op, list: op.list.slice(0, -1) } : op,
    );
    return [...history, { ...last, id: last.id + 1, ops }];
  }
});
