#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { SetupError } from '../cluster/setup-error.ts';
import { PgError } from '../core/errors.ts';
import { dataOption, exitCodes, leave, wholeNumber } from './command-line.ts';
import { addCompletionCommand } from './completion-command.ts';
import { addConfigCommands, configOption, setOption } from './config-command.ts';
import { addDemoCommand } from './demo-command.ts';
import { parentReport, reportFailure, upDetached } from './detach.ts';
import { addDoctorCommand } from './doctor-command.ts';
import { down } from './down.ts';
import type { GpconfigFlags } from './gpconfig.ts';
import type { Report, UpOptions } from './herd-report.ts';
import type { MonitorFlags } from './monitor.ts';
import { psql } from './psql.ts';
import { addReportCommands } from './report-command.ts';
import { describeStatus, herdStatus } from './status.ts';
import { connectLines, jsonReport, terminalReport } from './terminal.ts';
import type { TransactionsFlags } from './transactions.ts';

const program = new Command('pgherd')
  .description('A herd of stock PostgreSQL servers as one distributed database.')
  .version(readVersion())
  .exitOverride((error) => process.exit(error.exitCode === 0 ? exitCodes.done : exitCodes.misused))
  .enablePositionalOptions()
  .showHelpAfterError('(pgherd --help lists the commands)')
  .addHelpText(
    'after',
    `
Examples:
  pgherd up                      start a coordinator, 3 nodes and the router; Ctrl-C stops them
  pgherd up --detach --nodes 5   the same with 5 nodes, in the background
  pgherd psql                    connect to it
  pgherd status --json           router, coordinator and nodes with host, port and state
  pgherd down                    stop it; the data stay
  pgherd monitor --once          its health, slow queries and alerts
  pgherd doctor                  what is wrong, and what to do
  pgherd demo finance            rows to try things with
  pgherd report compliance --out reports   HTML, JSON and CSV about financial_transactions
  pgherd gpconfig -s work_mem    a setting on all servers; -c work_mem -v 64MB changes it
  pgherd router --config pgherd.yaml   route over servers that exist already

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not everything runs (status), something is critical (monitor), an error was found (doctor).`,
  );

interface UpFlags {
  readonly data: string;
  readonly port?: number;
  readonly nodes?: number;
  readonly workers?: number;
  readonly config?: string;
  readonly set: readonly string[];
  readonly detach?: true;
  readonly json?: true;
  readonly supervisor?: true;
}

program
  .command('up')
  .description('start the embedded herd: PostgreSQL servers and the router, made at the first start')
  .addOption(dataOption())
  .option('--port <n>', "router's port (default: 5432, or the next free one; the same at later starts)", wholeNumber)
  .option('--nodes <n>', 'number of nodes; it can grow, not shrink (default: 3, or as many as there are)', wholeNumber)
  .option(
    '--workers <n>',
    'processes of the router (default: 1, on machines of 8 cores or more one for each 4)',
    wholeNumber,
  )
  .addOption(
    new Option(
      '--config <file>',
      'YAML: listen.port, workers, http, shardCount, pools, and the blocks citus and monitor',
    )
      .env('PGHERD_CONFIG')
      .argParser((file) => resolve(file)),
  )
  .addOption(setOption())
  .option('--detach', 'run in the background; returns when the herd answers queries')
  .option('--json', 'for programs: where it is, when it is ready')
  .addOption(new Option('--supervisor').hideHelp())
  .addHelpText(
    'after',
    `
Examples:
  pgherd up
  pgherd up --detach --port 6432
  pgherd up --data /srv/herd --nodes 5
  pgherd up --config pgherd.yaml`,
  )
  .action(async (flags: UpFlags) => {
    const { data: dataDir, port, nodes, workers, config, set } = flags;
    const options = { dataDir, port, nodes, workers, configFile: config, set };
    if (flags.supervisor) return leave(await run(options, parentReport()));
    const report = (footer: string) => (flags.json ? jsonReport() : terminalReport(Date.now(), footer));
    if (!flags.detach) return leave(await run(options, report('Ctrl-C stops it; the data stay.')));
    if (await alreadyRuns(flags)) return leave(exitCodes.done);
    await upDetached(options, report('pgherd down stops it; the data stay.'));
    return leave(exitCodes.done);
  });

/** The router and all that belongs to it is loaded only by the commands that run one: the others answer at once. */
async function run(options: UpOptions, report: Report): Promise<number> {
  const { up } = await import('./up.ts');
  return up(options, report);
}

/** `up --detach` of a herd that runs is done already, unless it asks for another one. */
async function alreadyRuns({ data, port, nodes, json }: UpFlags): Promise<boolean> {
  const status = await herdStatus(data).catch(() => undefined);
  if (status?.router.state !== 'running') return false;
  const differs =
    (port ?? status.router.port) !== status.router.port || (nodes ?? status.nodes.length) !== status.nodes.length;
  if (differs) {
    throw new SetupError(
      `a herd already runs on ${status.dataDir}, with port ${status.router.port} and ${status.nodes.length} nodes`,
      'Stop it with pgherd down before starting it differently.',
    );
  }
  const httpPort = status.dashboard === null ? null : Number(new URL(status.dashboard).port);
  const herd = { dataDir: status.dataDir, routerPort: status.router.port!, httpPort, nodes: status.nodes.length };
  if (json) jsonReport().ready(herd);
  else process.stdout.write(`pgherd runs already\n\n${connectLines(herd)}\n`);
  return true;
}

program
  .command('down')
  .description('stop the herd of a folder, in the background or not, and whatever a crash left running; the data stay')
  .addOption(dataOption())
  .option('--json', 'for programs')
  .addHelpText('after', '\nExamples:\n  pgherd down\n  pgherd down --data /srv/herd --json')
  .action(async ({ data, json }: { data: string; json?: true }) => {
    const stopped = await down(data);
    const text = stopped ? `the herd in ${data} has stopped` : `nothing runs in ${data}`;
    process.stdout.write(`${json ? JSON.stringify({ dataDir: data, stopped }) : text}\n`);
  });

program
  .command('status')
  .description('show router, coordinator and nodes with host, port and state (running, starting, stopped)')
  .addOption(dataOption())
  .option('--json', 'for programs')
  .addHelpText('after', '\nExamples:\n  pgherd status\n  pgherd status --json\n\nExit code 3: not everything runs.')
  .action(async ({ data, json }: { data: string; json?: true }) => {
    const status = await herdStatus(data);
    process.stdout.write(`${json ? JSON.stringify(status, null, 2) : describeStatus(status)}\n`);
    process.exitCode = status.state === 'running' ? exitCodes.done : exitCodes.notRunning;
  });

program
  .command('psql')
  .description('connect to the running herd with psql; further arguments go to psql')
  .addOption(dataOption())
  .argument('[args...]', "psql's own, such as -c 'SELECT 1' or -f file.sql")
  .allowUnknownOption()
  .passThroughOptions()
  .addHelpText(
    'after',
    "\nExamples:\n  pgherd psql\n  pgherd psql -c 'SELECT * FROM citus_tables'\n  pgherd psql --data /srv/herd -f schema.sql",
  )
  .action(async (args: string[], { data }: { data: string }) => leave(await psql(data, args)));

program
  .command('gpconfig')
  .description("show and change PostgreSQL's settings on the coordinator and all nodes, as Greenplum's gpconfig does")
  .addOption(dataOption())
  .option('--url <url>', 'a router anywhere: postgresql://user:password@host:port/database')
  .option('-c, --change <name>', 'change a setting (ALTER SYSTEM on every server)')
  .option('-v, --value <value>', 'its value')
  .option('-m, --mastervalue <value>', "the coordinator's value, where it differs")
  .option('-r, --remove <name>', 'take back what was changed')
  .option('-s, --show <name>', 'show a setting on all servers')
  .option('-l, --list', 'list all settings')
  .option('--masteronly', 'change the coordinator only')
  .addOption(new Option('--coordinatoronly').hideHelp())
  .option('--skipvalidation', 'leave it to the servers to judge the value')
  .option('--file', 'with -s: what ALTER SYSTEM has written, instead of what is in force')
  .option('--reload', 'let all servers read their configuration again')
  .option('--restart', 'restart the servers of the embedded herd, one after the other')
  .option('--json', 'for programs')
  .addHelpText(
    'after',
    `
Examples:
  pgherd gpconfig -c work_mem -v 256MB -m 64MB --reload
  pgherd gpconfig -c max_connections -v 1000 -m 200
  pgherd gpconfig --restart
  pgherd gpconfig -s max_connections`,
  )
  .action(async (flags: GpconfigFlags) => {
    const { gpconfig } = await import('./gpconfig.ts');
    await gpconfig(flags, (line) => void process.stdout.write(`${line}\n`));
    leave(exitCodes.done);
  });

program
  .command('transactions')
  .description('the last steps of distributed commits, and what is in doubt on the nodes now: a JSON object a line')
  .addOption(dataOption())
  .option('--url <url>', 'a router anywhere: postgresql://user:password@host:port/database')
  .option('--follow', 'go on with the steps to come, until Ctrl-C')
  .option('--json', 'what it prints is JSON with or without')
  .addHelpText(
    'after',
    '\nExamples:\n  pgherd transactions\n  pgherd transactions --follow --url postgresql://postgres@db0:5432/postgres',
  )
  .action(async (flags: TransactionsFlags) => {
    const { transactions } = await import('./transactions.ts');
    await transactions(flags, (line) => void process.stdout.write(`${line}\n`), new AbortController().signal);
    leave(exitCodes.done);
  });

program
  .command('monitor')
  .description('health, nodes, replication lag, slow queries and alerts of a cluster, again and again until Ctrl-C')
  .addOption(dataOption())
  .option('--url <url>', 'a cluster anywhere: postgresql://user:password@host:port/database')
  .option('--interval <seconds>', 'between two reports', wholeNumber, 60)
  .option('--once', 'one report; exit code 3 when an alert is critical')
  .option('--json', 'for programs: one JSON object a report')
  .addOption(new Option('--lang <language>', 'of the texts').choices(['en', 'zh']).default('en'))
  .option('--config <file>', 'YAML whose block monitor: has thresholds and sinks')
  .option('--log <file>', 'append beginnings and ends of alerts to it, as JSON lines')
  .option('--webhook <url>', 'POST them to it')
  .addHelpText(
    'after',
    `
Examples:
  pgherd monitor
  pgherd monitor --once --json
  pgherd monitor --interval 10 --lang zh --log alerts.jsonl
  pgherd monitor --url postgresql://postgres@db0:5432/postgres --webhook https://hooks.example.com/pgherd`,
  )
  .action(async (flags: MonitorFlags) => {
    const { monitor } = await import('./monitor.ts');
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort());
    const outlet = {
      print: (line: string) => void process.stdout.write(`${line}\n`),
      warn: (line: string) => void process.stderr.write(`pgherd: warning: ${line}\n`),
    };
    const isWell = await monitor(flags, outlet, stop.signal);
    leave(flags.once && !isWell ? exitCodes.notRunning : exitCodes.done);
  });

program
  .command('router')
  .description('run a router over PostgreSQL servers (15 or newer) that exist already')
  .addOption(configOption())
  .addOption(setOption())
  .option('--workers <n>', 'processes of the router (default: one for each core from 4 on, else 1)', wholeNumber)
  .addHelpText(
    'after',
    `
Examples:
  pgherd router --config pgherd.yaml
  PGHERD_COORDINATOR_HOST=db0 pgherd router --set auth=trust

Example of a configuration:\n${exampleConfig().replace(/^/gm, '  ')}`,
  )
  .action(async ({ config, workers, set }: { config?: string; workers?: number; set: string[] }) => {
    const { router } = await import('./router.ts');
    leave(await router(config, workers, set));
  });

function exampleConfig(): string {
  return `listen: { host: 127.0.0.1, port: 5432 }
coordinator: { host: db0, port: 5432, database: postgres, user: postgres, passwordFile: secret }
nodes:                             # database, user and password as on the coordinator unless said
  - { name: worker1, host: db1, port: 5432 }
  - { name: worker2, host: db2, port: 5432 }
auth: scram                        # or trust, on loopback only
tls: { cert: server.crt, key: server.key }
pools: { maxConnectionsPerPool: 40 }
workers: 2                         # processes of the router
shardCount: 32
addresses:                         # where names that SQL uses really are
  worker1:5432: { host: db1, port: 5432 }`;
}

function readVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

addReportCommands(program);
addDemoCommand(program);
addDoctorCommand(program);
addConfigCommands(program);
addCompletionCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  const { message, hint } = explain(error);
  if (process.argv.includes('--supervisor')) reportFailure(message, hint);
  process.stderr.write(`pgherd: ${message}\n${hint ? `${hint}\n` : ''}`);
  process.exitCode = exitCodes.failed;
  // Let what was written get out before whatever is still open is cut off.
  setTimeout(() => process.exit(), 200).unref();
}

/** What the operator can mend is told plainly; of our own faults the stack is wanted too. */
function explain(error: unknown): { message: string; hint: string } {
  if (error instanceof SetupError) return { message: error.message, hint: error.hint };
  if (error instanceof PgError) return { message: error.message, hint: error.fields.hint ?? '' };
  return { message: error instanceof Error ? (error.stack ?? error.message) : String(error), hint: '' };
}
