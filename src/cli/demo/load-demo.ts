import { SetupError } from '../../cluster/setup-error.ts';
import type { SqlRunner } from '../../core/runner.ts';
import type { Demo, DemoTable } from './demo.ts';

export interface DemoOptions {
  /** Of the demo's main table. */
  readonly rows: number;
  /** Tables of these names are dropped first. */
  readonly replace: boolean;
}

export interface LoadedTable {
  readonly table: string;
  readonly rows: number;
}

const batchRows = 50_000;

/** Makes a demo's tables, distributed where there is a router, and fills them batch by batch. */
export async function loadDemo(
  runner: SqlRunner,
  demo: Demo,
  { rows, replace }: DemoOptions,
  onProgress: (share: number, table: string, done: number) => void,
): Promise<LoadedTable[]> {
  await makeRoom(runner, demo, replace);
  const isHerd = await hasRouter(runner);
  for (const table of demo.tables) await makeTable(runner, table, isHerd);
  const counts = demo.tables.map((table) => table.rows(rows));
  const total = counts.reduce((sum, count) => sum + count, 0);
  let before = 0;
  for (const [i, table] of demo.tables.entries()) {
    const count = counts[i]!;
    for (let from = 1; from <= count; from += batchRows) {
      onProgress((before + from - 1) / total, table.name, from - 1);
      await runner.query(fillSql(table, rows, { from, to: Math.min(count, from + batchRows - 1) }));
    }
    before += count;
  }
  onProgress(1, 'keys', total);
  for (const sql of demo.keys) await runner.query(sql);
  onProgress(1, 'statistics', total);
  await runner.query(`ANALYZE ${demo.tables.map(({ name }) => name).join(', ')}`);
  return demo.tables.map(({ name }, i) => ({ table: name, rows: counts[i]! }));
}

async function makeRoom(runner: SqlRunner, { name, tables }: Demo, replace: boolean): Promise<void> {
  const there: string[] = [];
  for (const table of tables) {
    const { rows } = await runner.query('SELECT to_regclass($1) IS NOT NULL', [table.name]);
    if (rows[0]?.[0] === 't') there.push(table.name);
  }
  if (there.length > 0 && !replace) {
    throw new SetupError(
      `the demo ${name} makes table ${there.join(', ')}, which is there already`,
      'With --replace it is dropped, with everything in it.',
    );
  }
  for (const table of there.toReversed()) await runner.query(`DROP TABLE ${table}`);
}

async function hasRouter(runner: SqlRunner): Promise<boolean> {
  const { rows } = await runner.query("SELECT to_regproc('create_distributed_table') IS NOT NULL");
  return rows[0]?.[0] === 't';
}

async function makeTable(
  runner: SqlRunner,
  { name, columns, distribution }: DemoTable,
  isHerd: boolean,
): Promise<void> {
  await runner.query(`CREATE TABLE ${name} (${columns})`);
  if (!isHerd) return;
  await runner.query(
    distribution.kind === 'everywhere'
      ? `SELECT create_reference_table('${name}')`
      : `SELECT create_distributed_table('${name}', '${distribution.column}', colocate_with := '${distribution.with}')`,
  );
}

function fillSql(table: DemoTable, rows: number, { from, to }: { readonly from: number; readonly to: number }): string {
  return `INSERT INTO ${table.name} (${table.filled}) SELECT ${table.make(rows)} FROM generate_series(${from}::bigint, ${to}) g`;
}
