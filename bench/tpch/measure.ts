import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { compareOutcomes } from '../../test/oracle/compare.ts';
import { type Outcome, runStatement } from '../../test/oracle/outcome.ts';
import { type Explained, explainQuery } from './explained.ts';
import { tpchDir } from './options.ts';
import { type Moved, openMeter } from './traffic.ts';

/** What was found out about one query. Times in milliseconds, in the order of the runs. */
export interface Measured extends Explained {
  readonly query: number;
  readonly rows: number;
  readonly moved: Moved;
  readonly plainMs: readonly number[];
  readonly herdMs: readonly number[];
  /** Undefined when the answers agree. */
  readonly difference: string | undefined;
}

/**
 * The variant of query 15 with a CTE, which the specification allows, is one statement. The fraction in query 11 is 0.0001 / scale factor; the
 * file's is that of 0.01.
 */
function queryText(query: number, factor: number): string {
  const name = query === 15 ? 'q15-cte' : `q${String(query).padStart(2, '0')}`;
  const text = readFileSync(join(tpchDir, 'queries', `${name}.sql`), 'utf8');
  return query === 11 ? text.replace('* 0.01', `* ${(0.0001 / factor).toFixed(10)}`) : text;
}

export interface Sides {
  readonly plain: pg.Client;
  readonly herd: pg.Client;
  readonly factor: number;
}

/** Plain, herd, plain, herd, …: what slows the machine down meets both. Each side runs it once before it is timed. */
export async function measureQuery(
  sides: Sides,
  query: number,
  runs: number,
  stopped: () => boolean,
): Promise<Measured> {
  const text = queryText(query, sides.factor);
  const expected = await runStatement(sides.plain, { text });
  let got: Outcome = expected;
  const meter = await openMeter(sides.herd);
  const moved = await meter(async () => {
    got = await runStatement(sides.herd, { text });
  });
  const difference = compareOutcomes(expected, got, /order by/i.test(text) ? 'total' : 'none');
  const rows = expected.kind === 'result' ? expected.rows.length : 0;
  const explained = await explainQuery(sides.herd, text);
  const plainMs: number[] = [];
  const herdMs: number[] = [];
  for (let run = 0; run < runs && got.kind === 'result' && !stopped(); run++) {
    plainMs.push(await timed(sides.plain, text));
    herdMs.push(await timed(sides.herd, text));
  }
  return { query, ...explained, rows, moved, plainMs, herdMs, difference };
}

async function timed(client: pg.Client, text: string): Promise<number> {
  const start = performance.now();
  const outcome: Outcome = await runStatement(client, { text });
  const ms = performance.now() - start;
  return outcome.kind === 'result' ? ms : Number.NaN;
}
