import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { Random } from '../differential/random.ts';
import { findAnomaly, type HistoryEntry, type Operation } from './list-append-checker.ts';
import { append, keys, read, useLists } from './lists.ts';

const committed = (id: number, ...ops: Operation[]): HistoryEntry => ({ id, outcome: 'committed', ops });

describe('the checker', () => {
  const honest = [
    committed(1, append('x', 1), append('y', 1)),
    committed(2, read('x', 1), read('y', 1), append('x', 2)),
    committed(3, read('x', 1, 2), read('y', 1)),
  ];

  test('finds nothing in an honest history', () => {
    expect(findAnomaly(honest)).toBeNull();
  });

  test.each<[string, HistoryEntry[], RegExp]>([
    ['half of a transaction that was seen', [...honest, committed(4, read('x', 1), read('y'))], /4 -rw-> 1/],
    [
      'an effect that was seen without its cause',
      [
        committed(1, append('x', 1)),
        committed(2, read('x', 1), append('y', 1)),
        committed(3, read('x'), read('y', 1)),
        committed(4, read('x', 1), read('y', 1)),
      ],
      /-rw->/,
    ],
    [
      'what was taken back',
      [{ id: 1, outcome: 'aborted', ops: [append('x', 1)] }, committed(2, read('x', 1))],
      /took back/,
    ],
    ['a lost append', [committed(1, append('x', 1)), committed(2, read('x'))], /is lost/],
    [
      'a cycle of writes and reads',
      [
        committed(1, append('x', 1), read('y', 1)),
        committed(2, append('y', 1), read('x', 1)),
        committed(3, read('x', 1), read('y', 1)),
      ],
      /-wr->/,
    ],
    ['two orders', [...honest, committed(4, append('x', 9)), committed(5, read('x', 9))], /another order/],
    [
      'the middle of a transaction',
      [committed(1, append('x', 1), append('x', 2)), committed(2, read('x', 1)), committed(3, read('x', 1, 2))],
      /in the middle/,
    ],
  ])('finds %s', (_, history, anomaly) => {
    expect(findAnomaly(history)).toMatch(anomaly);
  });

  test('lets write skew pass, which snapshots allow', () => {
    const skew = [
      committed(1, read('y'), append('x', 1)),
      committed(2, read('x'), append('y', 1)),
      committed(3, read('x', 1), read('y', 1)),
    ];
    expect(findAnomaly(skew)).toBeNull();
  });
});

describe('on a herd', () => {
  const connect = useLists();

  async function readKeys(client: pg.Client, wanted: readonly string[]): Promise<Operation[]> {
    const { rows } = await client.query('SELECT k, v FROM lists WHERE k = ANY ($1)', [wanted]);
    return rows.map(({ k, v }) => ({ kind: 'read', key: k, list: v }));
  }

  test('no history has an anomaly that its snapshots forbid', async () => {
    const history: HistoryEntry[] = [];
    const stopMs = Date.now() + 5_000;
    let value = 0;
    let ids = 0;
    const session = async (seed: number) => {
      const random = new Random(seed);
      const client = await connect();
      while (Date.now() < stopMs) {
        const id = ++ids;
        const ops: Operation[] = [];
        let outcome: HistoryEntry['outcome'] = 'committed';
        try {
          await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
          if (random.chance(0.5)) ops.push(...(await readKeys(client, random.sample(keys, 4))));
          for (const key of random.sample(keys, random.int(0, 3)).sort()) {
            value += 1;
            const op = append(key, value);
            ops.push(op);
            await client.query('UPDATE lists SET v = v || $1::integer WHERE k = $2', [value, key]);
          }
          await client.query(random.chance(0.1) ? 'ROLLBACK; SELECT 1 / 0' : 'COMMIT');
        } catch (error) {
          outcome = (error as { code?: string }).code === '08007' ? 'unknown' : 'aborted';
          await client.query('ROLLBACK');
        }
        // What an aborted transaction read was a snapshot too, but its own appends are in no order.
        history.push({ id, outcome, ops: outcome === 'aborted' ? ops.filter(({ kind }) => kind === 'append') : ops });
      }
      await client.end();
    };
    const watch = async () => {
      const client = await connect();
      while (Date.now() < stopMs) history.push(committed(++ids, ...(await readKeys(client, keys))));
      await client.end();
    };
    await Promise.all([session(1), session(2), session(3), session(4), watch()]);
    const client = await connect();
    history.push(committed(++ids, ...(await readKeys(client, keys))));
    await client.end();
    expect(findAnomaly(history)).toBeNull();
    expect(history.filter((entry) => entry.outcome === 'committed').length).toBeGreaterThan(30);
    expect(findAnomaly(withHalfRead(history))).toMatch(/-rw->/);
  });

  /** The last read of everything, with one transaction that appended to two keys missing from one of them. */
  function withHalfRead(history: readonly HistoryEntry[]): HistoryEntry[] {
    const last = history.at(-1)!;
    for (const { outcome, ops } of history.toReversed()) {
      const appended = ops.filter((op) => op.kind === 'append');
      if (outcome !== 'committed' || appended.length < 2) continue;
      const [missing] = appended;
      const lists = last.ops.map((op) => {
        if (op.kind !== 'read' || op.key !== missing!.key) return op;
        return { ...op, list: op.list.slice(0, op.list.indexOf(missing!.value)) };
      });
      return [...history, committed(last.id + 1, ...lists)];
    }
    throw new Error('no transaction appended to two keys');
  }
});
