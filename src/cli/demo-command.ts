import { Argument, type Command, InvalidArgumentError } from 'commander';
import type { ServerConnection } from '../backend/server-connection.ts';
import { dataOption, exitCodes, leave, urlOption } from './command-line.ts';
import type { Demo } from './demo/demo.ts';
import { ecommerce } from './demo/ecommerce.ts';
import { finance } from './demo/finance.ts';
import { loadDemo } from './demo/load-demo.ts';
import { openHerdClient } from './herd-client.ts';
import { createProgressBar } from './progress-bar.ts';

interface DemoFlags {
  readonly data: string;
  readonly url?: string;
  readonly rows: number;
  readonly replace?: true;
  readonly json?: true;
}

const demos: Readonly<Record<string, Demo>> = { ecommerce, finance };

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('make tables with realistic rows, and print queries to try')
    .addArgument(
      new Argument('<name>', 'ecommerce: users, products, orders, payments; finance: financial_transactions').choices(
        Object.keys(demos),
      ),
    )
    .addOption(dataOption())
    .addOption(urlOption())
    .option('--rows <n>', 'orders, or transactions', rowCount, 100_000)
    .option('--replace', 'drop tables of these names first')
    .option('--json', 'for programs: the tables, their rows, and the queries')
    .addHelpText(
      'after',
      '\nExamples:\n  pgherd demo finance\n  pgherd demo ecommerce --rows 1000000 --replace\n  pgherd demo finance --url postgresql://postgres@db0/postgres',
    )
    .action(async (name: string, flags: DemoFlags) => {
      const connection = await openHerdClient(flags);
      try {
        await runDemo(connection, demos[name]!, flags);
      } finally {
        connection.close();
      }
      leave(exitCodes.done);
    });
}

async function runDemo(connection: ServerConnection, demo: Demo, flags: DemoFlags): Promise<void> {
  const bar = createProgressBar();
  const startedMs = Date.now();
  try {
    const options = { rows: flags.rows, replace: flags.replace ?? false };
    const tables = await loadDemo(connection, demo, options, (share, table, done) =>
      bar.show(share, `${table} ${done.toLocaleString('en')}`),
    );
    bar.end();
    const seconds = (Date.now() - startedMs) / 1000;
    if (flags.json)
      return void process.stdout.write(`${JSON.stringify({ tables, seconds, queries: demo.queries }, null, 2)}\n`);
    for (const { table, rows } of tables) process.stdout.write(`${table}: ${rows.toLocaleString('en')} rows\n`);
    process.stdout.write(`in ${seconds.toFixed(1)} s. Queries to try (pgherd psql):\n`);
    for (const { about, sql } of demo.queries) process.stdout.write(`\n-- ${about}\n${sql}\n`);
  } finally {
    bar.end();
  }
}

const maxRows = 1_000_000_000;

function rowCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > maxRows)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${maxRows}.`);
  return value;
}
