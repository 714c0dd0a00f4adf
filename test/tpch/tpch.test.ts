import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFixture } from '../fixtures.ts';
import { connectRaw, resetSchema } from '../oracle/client.ts';
import { compareOutcomes, type RowOrder } from '../oracle/compare.ts';
import { type Outcome, runStatement } from '../oracle/outcome.ts';
import { type Pair, startPair } from '../oracle/pair.ts';
import { layouts, loadTpch, tpchTables } from './load.ts';

const data = findFixture('tpch', 'TPC-H');
const queries = join(import.meta.dirname, 'queries');

describe.skipIf(data === undefined)('TPC-H at scale factor 0.01', () => {
  let pair: Pair;
  let plain: pg.Client;
  let herd: pg.Client;

  beforeAll(async () => {
    pair = await startPair({ nodes: 3 });
    plain = await connectRaw(pair.plain);
    herd = await connectRaw(pair.herd);
    await resetSchema(plain);
    await loadTpch(plain, data!, null);
  }, 180_000);

  afterAll(async () => {
    await plain?.end();
    await herd?.end();
    await pair?.stop();
  }, 60_000);

  describe.each(layouts)('in layout %s', (layout) => {
    beforeAll(async () => {
      await resetSchema(herd);
      await loadTpch(herd, data!, pair.distributed ? layout : null);
    }, 180_000);

    test.each(tpchTables)('%s holds every row that was copied in', async (table) => {
      const count = { text: `SELECT count(*) FROM ${table}` };
      const expected = await runStatement(plain, count);
      expect(compareOutcomes(expected, await runStatement(herd, count), 'total')).toBeUndefined();
    });

    test.each(readdirSync(queries).sort())(
      '%s answers as one PostgreSQL does',
      async (file) => {
        const text = readFileSync(join(queries, file), 'utf8');
        const asked = await bothAnswer(text);
        for (const { statement, expected, got } of asked) {
          const order: RowOrder = /order by/i.test(statement) ? 'total' : 'none';
          expect(compareOutcomes(expected, got, order), statement).toBeUndefined();
        }
        const answer = asked.find(({ statement }) => /^(--.*\n)*(select|with)/.test(statement))!.expected;
        if (answer.kind === 'error') throw new Error(answer.message);
        expect(answer.rows.length, 'rows').toBeGreaterThan(0);
        expect(answer.rows.flat().some((value) => value !== null)).toBe(true);
        expect(answer.rows.flat().filter((value) => value === null)).toEqual([]);
      },
      60_000,
    );
  });

  async function bothAnswer(text: string): Promise<{ statement: string; expected: Outcome; got: Outcome }[]> {
    const asked = [];
    for (const statement of text.split(/;\s*/)) {
      if (statement.trim() === '') continue;
      const expected = await runStatement(plain, { text: statement });
      asked.push({ statement, expected, got: await runStatement(herd, { text: statement }) });
    }
    return asked;
  }
});
