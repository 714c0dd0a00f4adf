import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PgError } from '../../src/core/errors.ts';
import { explainPlan, planStatement } from '../../src/plan/planner.ts';
import { parseStatements } from '../../src/sql/parse.ts';
import { planContext } from './herd.ts';

/*
 * Each file of plans/ holds cases: SQL, a line of four dashes, the plan as EXPLAIN prints it, an empty line. A first line
 * `-- in a transaction` plans for one, `-- in a block that has written` for a READ COMMITTED one that has; `-- $1 = 5::integer` gives a parameter. UPDATE_GOLDEN=1 writes the plans anew.
 */

const folder = join(import.meta.dirname, 'plans');

for (const name of readdirSync(folder).filter((each) => each.endsWith('.txt'))) {
  test(`plans of ${name} are as written down`, () => {
    const path = join(folder, name);
    const text = readFileSync(path, 'utf8');
    const written = text
      .split(/\n{2,}(?=\S)/)
      .map((entry) => {
        const sql = entry.split('\n----')[0]!.trim();
        return `${sql}\n----\n${plan(sql)}\n`;
      })
      .join('\n');
    if (process.env['UPDATE_GOLDEN']) writeFileSync(path, written);
    else expect(written).toBe(text);
  });
}

const typeOids: Readonly<Record<string, number>> = { integer: 23, bigint: 20, text: 25, 'numeric(12,2)': 1700 };

function plan(sql: string): string {
  const comments = sql.split('\n').filter((line) => line.startsWith('--'));
  const parameters = comments.flatMap((line) => {
    const match = /^-- \$\d+ = (.*)::(\w+)$/.exec(line);
    if (!match) return [];
    const value = { format: 0 as const, bytes: Buffer.from(match[1]!) };
    return [{ typeOid: typeOids[match[2]!]!, typeName: match[2]!, value }];
  });
  const hasWritten = comments.includes('-- in a block that has written');
  const context = planContext({
    ...{ parameters, inTransaction: hasWritten || comments.includes('-- in a transaction') },
    ...(hasWritten ? { staging: 'opened', opensFragments: true } : {}),
  });
  try {
    const [statement] = parseStatements(sql);
    return explainPlan(planStatement(statement!, context)).join('\n');
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}
