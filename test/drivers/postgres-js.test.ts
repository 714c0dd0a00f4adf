import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Pair, startPair } from '../oracle/pair.ts';
import { createDriverTables, emptyDriverTables, endWithin } from './schema.ts';

vi.setConfig({ testTimeout: 20_000 });

describe('postgres.js', () => {
  let pair: Pair;
  let sql: postgres.Sql;

  beforeAll(async () => {
    pair = await startPair();
    await createDriverTables(pair);
    sql = postgres(pair.herd, { max: 5, onnotice: () => {} });
  }, 120_000);

  beforeEach(() => emptyDriverTables(pair), 60_000);

  afterAll(async () => {
    await endWithin(5000, sql?.end({ timeout: 5 }));
    await pair?.stop();
  }, 60_000);

  test('creates, reads, updates and deletes', async () => {
    const people = [
      { name: 'Ada', balance: 10 },
      { name: 'Bób', balance: 20 },
      { name: 'Cyd', balance: 30 },
    ];
    const made = await sql`INSERT INTO account ${sql(people)} RETURNING id`;
    expect(made.map((row) => row['id']).sort()).toEqual([1, 2, 3]);
    expect([...(await sql`SELECT name FROM account WHERE id = ${2}`)]).toEqual([{ name: 'Bób' }]);
    expect([...(await sql`SELECT name FROM account WHERE id IN ${sql([1, 3])} ORDER BY id`)]).toEqual([
      { name: 'Ada' },
      { name: 'Cyd' },
    ]);
    expect((await sql`UPDATE account SET ${sql({ name: 'Dee' })} WHERE id = 3`).count).toBe(1);
    expect((await sql`DELETE FROM account WHERE balance < ${25}`).count).toBe(2);
    expect([...(await sql`SELECT id, name FROM account`)]).toEqual([{ id: 3, name: 'Dee' }]);
  });

  test('keeps types, arrays of its own included', async () => {
    const opened = new Date('2024-02-29T12:34:56.789Z');
    const picture = Buffer.from([0, 1, 255]);
    await sql`INSERT INTO account (name, opened, tags, info, feeling, picture)
      VALUES ('x', ${opened}, ${['a', 'b"c']}, ${sql.json({ deep: [1, 'ä'] })}, 'ok', ${picture})`;
    const [row] = await sql`SELECT opened, tags, info, feeling, picture FROM account WHERE id = 1`;
    expect(row).toEqual({ opened, tags: ['a', 'b"c'], info: { deep: [1, 'ä'] }, feeling: 'ok', picture });
    const [ids] = await sql`SELECT array_agg(id) AS ids, ARRAY['ok'::feeling] AS feelings FROM account`;
    expect(ids).toMatchObject({ ids: [1] });
  });

  test('commits, rolls back, and back to a savepoint', async () => {
    await sql.begin(async (tx) => {
      await tx`INSERT INTO account (name) SELECT 'n' || g FROM generate_series(1, 10) g`;
      await tx
        .savepoint(async (sp) => {
          await sp`DELETE FROM account`;
          throw new Error('back');
        })
        .catch(() => {});
    });
    const failed = sql.begin(async (tx) => {
      await tx`UPDATE account SET balance = 5`;
      await tx`SELECT 1 / 0`;
    });
    await expect(failed).rejects.toMatchObject({ code: '22012' });
    expect([...(await sql`SELECT count(*)::int AS n, sum(balance) FROM account`)]).toEqual([{ n: 10, sum: '0.00' }]);
  });

  test('pipelines what is asked at once', async () => {
    await sql`INSERT INTO account (name) SELECT 'n' || g FROM generate_series(1, 20) g`;
    const one = postgres(pair.herd, { max: 1 });
    const names = await one.begin((tx) =>
      Promise.all(
        Array.from({ length: 20 }, (_, i) => tx<{ name: string }[]>`SELECT name FROM account WHERE id = ${i + 1}`),
      ),
    );
    await one.end();
    expect(names.map(([row]) => row?.name).sort()).toEqual(Array.from({ length: 20 }, (_, i) => `n${i + 1}`).sort());
  });

  test('goes through an answer with a cursor', async () => {
    await sql`INSERT INTO booking SELECT g % 9, g, g FROM generate_series(1, 57) g`;
    const seen: number[] = [];
    for await (const rows of sql`SELECT id FROM booking ORDER BY id`.cursor(10))
      seen.push(...rows.map((row) => Number(row['id'])));
    expect(seen).toEqual(Array.from({ length: 57 }, (_, i) => i + 1));
    let some = 0;
    await sql`SELECT id FROM booking ORDER BY id`.cursor(10, () => (++some === 2 ? sql.CLOSE : undefined));
    expect(some).toBe(2);
  });

  test('copies in and out', async () => {
    const writable = await sql`COPY booking FROM STDIN`.writable();
    await pipeline(Readable.from(Array.from({ length: 1000 }, (_, i) => `${i % 13}\t${i}\t1.00\n`)), writable);
    expect([...(await sql`SELECT count(*)::int AS n FROM booking`)]).toEqual([{ n: 1000 }]);
    const readable = await sql`COPY (SELECT id FROM booking WHERE id < 5 ORDER BY id) TO STDOUT`.readable();
    const chunks: Buffer[] = [];
    for await (const chunk of readable) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe('0\n1\n2\n3\n4\n');
  });

  test('hears notifications', async () => {
    const heard = new Promise<string>((resolve) => void sql.listen('news', resolve));
    const notify = setInterval(() => void sql.notify('news', 'grüße'), 100);
    expect(await heard).toBe('grüße');
    clearInterval(notify);
  });

  test('describes without running, and cancels', async () => {
    const description = await sql`SELECT id, name FROM account WHERE id = ${1}`.describe();
    expect(description.columns.map((column) => column.name)).toEqual(['id', 'name']);
    const slow = sql`SELECT pg_sleep(20)`.execute();
    setTimeout(() => slow.cancel(), 300);
    await expect(slow).rejects.toMatchObject({ code: '57014' });
  });

  test('runs several statements at once in the simple protocol', async () => {
    const answers = await sql.unsafe("INSERT INTO account (name) VALUES ('a'); SELECT count(*)::int AS n FROM account");
    expect(answers.at(-1)).toEqual([{ n: 1 }]);
  });
});
