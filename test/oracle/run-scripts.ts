import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectRaw, resetSchema } from './client.ts';
import { compareOutcomes } from './compare.ts';
import { isRefusal, type Request, runStatement } from './outcome.ts';
import { type Pair, startPair } from './pair.ts';
import { isOrdered, parseScript, type ScriptStatement } from './script.ts';

const here = import.meta.dirname;
const files = readdirSync(here)
  .filter((name) => name.endsWith('.sql'))
  .sort();

/** A test for each file: the same SQL gives the same rows and SQLSTATEs on one PostgreSQL and on the herd. One mode a test file, so that they run beside each other. */
export function compareScripts(mode: Mode): void {
  let pair: Pair;

  beforeAll(async () => {
    pair = await startPair();
  }, 120_000);

  afterAll(async () => {
    await pair?.stop();
  }, 60_000);

  test.each(files)(
    `%s, ${mode}`,
    async (file) => {
      const plain = await connectRaw(pair.plain);
      const herd = await connectRaw(pair.herd);
      try {
        for (const client of [plain, herd]) await prepareDatabase(client);
        const statements = parseScript(readFileSync(join(here, file), 'utf8'));
        const differences: string[] = [];
        for (const statement of statements) {
          const difference = await runBoth({ plain, herd }, inMode(statement, mode));
          if (difference !== undefined)
            differences.push(`${file}:${statement.line}: ${statement.text}\n  ${difference}`);
        }
        expect(differences).toEqual([]);
      } finally {
        await Promise.all([plain.end(), herd.end()]);
      }
    },
    120_000,
  );

  async function runBoth(
    sessions: { plain: pg.Client; herd: pg.Client },
    statement: ScriptStatement,
  ): Promise<string | undefined> {
    const { text } = statement;
    const input = statement.input === undefined ? {} : { input: statement.input };
    const request: Request = mode === 'extended protocol' ? { text, values: [], ...input } : { text, ...input };
    if (statement.herdOnly) {
      if (!pair.distributed) return undefined;
      const outcome = await runStatement(sessions.herd, request);
      if (isRefusal(outcome) && statement.mayBeRefused) return undefined;
      return outcome.kind === 'error' ? `SQLSTATE ${outcome.sqlstate}: ${outcome.message}` : undefined;
    }
    // The herd first: what it refuses to change must not change on the other side either.
    const got = await runStatement(sessions.herd, request);
    if (isRefusal(got) && got.kind === 'error') {
      if (!statement.mayBeRefused) return `refused: ${got.message}`;
      // A transaction that the refusal has failed fails on the other side too.
      await runStatement(sessions.plain, { text: 'SELECT 1/0' });
      return undefined;
    }
    const expected = await runStatement(sessions.plain, request);
    // Rows that ORDER BY holds equal come as they come, and where rows are spread at random that is never the same.
    const ordered = mode !== 'rows spread at random' && isOrdered(statement.text);
    return compareOutcomes(expected, got, ordered ? 'total' : 'none');
  }
}

export type Mode = 'simple protocol' | 'extended protocol' | 'rows spread at random' | 'rows on one node';

/** Whatever a file says of HASH tables must hold, or be refused, when nobody knows where their rows are. */
function inMode(statement: ScriptStatement, mode: Mode): ScriptStatement {
  const otherwise = elsewhere[mode];
  if (otherwise === undefined) return statement;
  const distribution = /^SELECT create_distributed_table\('([^']+)', '[^']+'(, colocate_with => '[^']+')?\)$/;
  const text = statement.herdOnly ? statement.text.replace(distribution, otherwise) : statement.text;
  return { ...statement, text, mayBeRefused: true };
}

const elsewhere: Readonly<Partial<Record<Mode, string>>> = {
  'rows spread at random': "SELECT create_distributed_table('$1', NULL, 'random')",
  'rows on one node': 'ALTER TABLE $1 DISTRIBUTE BY ROUNDROBIN TO NODE (worker1)',
};

/** Every file starts from an empty database and may leave what it wants in these two schemas. */
async function prepareDatabase(client: pg.Client): Promise<void> {
  await resetSchema(client);
  await client.query('DROP SCHEMA IF EXISTS other CASCADE');
  await client.query('DROP SCHEMA IF EXISTS "Größe" CASCADE');
  await client.query('DROP ROLE IF EXISTS oracle_reader');
}
