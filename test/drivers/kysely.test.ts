import { type Generated, Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Pair, startPair } from '../oracle/pair.ts';
import { createDriverTables, emptyDriverTables, endWithin } from './schema.ts';

vi.setConfig({ testTimeout: 20_000 });

type Database = {
  account: { id: Generated<number>; name: string; balance: Generated<string>; tags: string[] | null };
  booking: { account_id: number; id: number; amount: string | number | null };
  currency: { code: string; name: string | null };
};

describe('Kysely', () => {
  let pair: Pair;
  let db: Kysely<Database>;

  beforeAll(async () => {
    pair = await startPair();
    await createDriverTables(pair);
    db = new Kysely<Database>({
      dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: pair.herd, max: 3 }) }),
    });
  }, 120_000);

  beforeEach(() => emptyDriverTables(pair), 60_000);

  afterAll(async () => {
    await endWithin(5000, db?.destroy());
    await pair?.stop();
  }, 60_000);

  test('creates, reads, updates and deletes', async () => {
    const names = ['Ada', 'Bób', 'Cyd'].map((name) => ({ name }));
    const made = await db.insertInto('account').values(names).returning(['id', 'name']).execute();
    expect(made.map((row) => row.id).sort()).toEqual([1, 2, 3]);
    await db.updateTable('account').set({ balance: '7.50' }).where('id', '=', 2).execute();
    const { numDeletedRows } = await db.deleteFrom('account').where('id', 'in', [1, 3]).executeTakeFirstOrThrow();
    expect(numDeletedRows).toBe(2n);
    expect(await db.selectFrom('account').select(['id', 'balance']).execute()).toEqual([{ id: 2, balance: '7.50' }]);
  });

  test('joins, groups and orders', async () => {
    await db
      .insertInto('account')
      .values([{ name: 'a' }, { name: 'b' }])
      .execute();
    const bookings = [1, 1, 2, 1].map((account_id, i) => ({ account_id, id: i, amount: i * 10 }));
    await db.insertInto('booking').values(bookings).execute();
    const rows = await db
      .with('big', (q) => q.selectFrom('booking').selectAll().where('amount', '>', 0))
      .selectFrom('account as a')
      .leftJoin('big as b', 'b.account_id', 'a.id')
      .select(({ fn }) => ['a.name', fn.sum('b.amount').as('total'), fn.count('b.id').as('n')])
      .groupBy('a.name')
      .orderBy('a.name')
      .execute();
    expect(rows).toEqual([
      { name: 'a', total: '40.00', n: '2' },
      { name: 'b', total: '20.00', n: '1' },
    ]);
  });

  test('puts in or updates', async () => {
    const put = (name: string) =>
      db
        .insertInto('currency')
        .values({ code: 'EUR', name })
        .onConflict((conflict) => conflict.column('code').doUpdateSet({ name }))
        .execute();
    await put('Euro');
    await put('Évro');
    expect(await db.selectFrom('currency').selectAll().execute()).toEqual([{ code: 'EUR', name: 'Évro' }]);
    const row = { account_id: 5, id: 1, amount: 1 };
    await db.insertInto('booking').values(row).execute();
    const again = await db
      .insertInto('booking')
      .values({ ...row, amount: 2 })
      .onConflict((conflict) =>
        conflict.columns(['account_id', 'id']).doUpdateSet((eb) => ({ amount: eb.ref('excluded.amount') })),
      )
      .returning('amount')
      .executeTakeFirstOrThrow();
    expect(again.amount).toBe('2.00');
  });

  test('rolls a transaction back when its function throws', async () => {
    const failed = db.transaction().execute(async (tx) => {
      await tx
        .insertInto('account')
        .values([{ name: 'x' }, { name: 'y' }])
        .execute();
      await tx.insertInto('currency').values({ code: 'XXX', name: null }).execute();
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    expect(await db.selectFrom('account').selectAll().execute()).toEqual([]);
    expect(await db.selectFrom('currency').selectAll().execute()).toEqual([]);
  });

  test('sees the tables as they were created', async () => {
    const found = await db.introspection.getTables();
    const mine = found.filter((table) => table.schema === 'public').map((table) => table.name);
    expect(mine.sort()).toEqual(['account', 'booking', 'currency']);
    const account = found.find((table) => table.name === 'account')!;
    expect(account.columns.find((column) => column.name === 'id')).toMatchObject({
      isAutoIncrementing: true,
      dataType: 'int4',
    });
  });

  test('changes the schema', async () => {
    await db.schema
      .alterTable('account')
      .addColumn('note', 'text', (column) => column.defaultTo('leer'))
      .execute();
    await db.insertInto('account').values({ name: 'n' }).execute();
    const { rows } = await sql<{ note: string }>`SELECT note FROM account`.execute(db);
    expect(rows).toEqual([{ note: 'leer' }]);
    await db.schema.createIndex('account_note').on('account').column('note').execute();
    await db.schema.dropIndex('account_note').execute();
    await db.schema.alterTable('account').dropColumn('note').execute();
    await db.schema
      .createTable('plain')
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .execute();
    await db.schema.dropTable('plain').execute();
  });
});
