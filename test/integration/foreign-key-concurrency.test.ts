import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
const clients: pg.Client[] = [];
let one: pg.Client;
let two: pg.Client;

/** Where the referencing and the referenced rows are. */
const layouts = [
  { child: 'distributed', parent: 'distributed' },
  { child: 'distributed', parent: 'local' },
  { child: 'local', parent: 'distributed' },
] as const;

const actions = ['NO ACTION', 'CASCADE', 'SET NULL'] as const;

beforeAll(async () => {
  herd = await startHerd({ nodes: 3, version: process.env['PGHERD_TEST_POSTGRES'] === '15' ? 15 : 18 });
  one = await connect();
  two = await connect();
}, 120_000);

afterAll(async () => {
  for (const client of clients) await client.end();
  await herd.stop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: herd.url });
  await client.connect();
  clients.push(client);
  return client;
}

async function makeTables({ child, parent }: (typeof layouts)[number], action: string): Promise<void> {
  await one.query('DROP TABLE IF EXISTS child, parent');
  await one.query('CREATE TABLE parent (id integer PRIMARY KEY)');
  await one.query(`CREATE TABLE child (id integer PRIMARY KEY, pid integer REFERENCES parent ON DELETE ${action})`);
  if (parent === 'distributed') await one.query("SELECT create_distributed_table('parent', 'id')");
  if (child === 'distributed') await one.query("SELECT create_distributed_table('child', 'id')");
  await one.query('INSERT INTO parent SELECT g FROM generate_series(1, 12) g');
}

function outcome(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (error) => error.code as string,
  );
}

async function waits(work: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  const later = new Promise((resolve) => setTimeout(() => resolve(pending), 1200));
  return (await Promise.race([work, later])) === pending;
}

const orphans =
  'SELECT count(*)::int AS n FROM child c WHERE pid IS NOT NULL AND NOT EXISTS (SELECT FROM parent p WHERE p.id = c.pid)';

async function countOrphans(): Promise<number> {
  return (await one.query(orphans)).rows[0].n;
}

describe.each(layouts)('rows of a $child table that reference a $parent table', (layout) => {
  test('a referenced row is not deleted while a transaction that references it is open, nor afterwards', async () => {
    await makeTables(layout, 'NO ACTION');
    await one.query('BEGIN');
    await one.query('INSERT INTO child VALUES (1, 1)');
    const deletion = outcome(two.query('DELETE FROM parent WHERE id = 1'));
    expect(await waits(deletion)).toBe(true);
    await one.query('COMMIT');
    expect(await deletion).toBe('23503');
  }, 60_000);

  test('a row that is about to be deleted can be referenced only if it stays', async () => {
    await makeTables(layout, 'NO ACTION');
    await one.query('BEGIN');
    await one.query('DELETE FROM parent WHERE id = 1');
    const insertion = outcome(two.query('INSERT INTO child VALUES (1, 1)'));
    expect(await waits(insertion)).toBe(true);
    await one.query('COMMIT');
    expect(await insertion).toBe('23503');
    await one.query('BEGIN');
    await one.query('DELETE FROM parent WHERE id = 2');
    const second = outcome(two.query('INSERT INTO child VALUES (2, 2)'));
    expect(await waits(second)).toBe(true);
    await one.query('ROLLBACK');
    expect(await second).toBe('done');
  }, 60_000);

  test('in REPEATABLE READ a reference that the snapshot does not show stands against the deletion too', async () => {
    await makeTables(layout, 'CASCADE');
    await one.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await one.query('SELECT count(*) FROM parent');
    await two.query('INSERT INTO child VALUES (1, 1)');
    expect(await outcome(one.query('DELETE FROM parent WHERE id = 1'))).toBe('40001');
    await one.query('ROLLBACK');
    await one.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await one.query('SAVEPOINT s');
    await one.query('DELETE FROM child WHERE id = 1');
    await one.query('DELETE FROM parent WHERE id = 1');
    await one.query('COMMIT');
    expect(await countOrphans()).toBe(0);
  }, 60_000);

  test.each(actions)(
    'no reference dangles after many clients inserted and deleted at once, ON DELETE %s',
    async (action) => {
      await makeTables(layout, action);
      const workers = await Promise.all(Array.from({ length: 5 }, connect));
      const expected = new Set(['23503', '23505', '40P01', '40001']);
      await Promise.all(
        workers.map(async (client, w) => {
          for (let round = 0; round < 24; round++) {
            const id = ((round * 5 + w * 3) % 12) + 1;
            const level = (round + w) % 3 === 0 ? 'REPEATABLE READ' : 'READ COMMITTED';
            const own = 100 + w * 1000 + round;
            const steps = [
              [`INSERT INTO child VALUES (${own}, ${id})`, `INSERT INTO child VALUES (${own + 500}, ${(id % 12) + 1})`],
              [`DELETE FROM parent WHERE id = ${id}`],
              [`INSERT INTO parent VALUES (${id})`, `INSERT INTO child VALUES (${own}, ${id})`],
              [`UPDATE child SET pid = ${id} WHERE id % 7 = ${round % 7}`],
              [`DELETE FROM parent WHERE id IN (${id}, ${(id % 12) + 1})`],
            ][(round * 3 + w) % 5]!;
            try {
              await client.query(`BEGIN ISOLATION LEVEL ${level}`);
              for (const step of steps) await client.query(step);
              await client.query('COMMIT');
            } catch (error) {
              await client.query('ROLLBACK');
              if (!expected.has((error as { code: string }).code)) throw error;
            }
          }
        }),
      );
      for (const worker of workers) {
        await worker.end();
        clients.splice(clients.indexOf(worker), 1);
      }
      expect(await countOrphans()).toBe(0);
    },
    120_000,
  );
});
