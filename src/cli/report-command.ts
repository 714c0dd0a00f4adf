import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { dataOption, exitCodes, leave, urlOption, wholeNumber } from './command-line.ts';
import type { ComplianceFlags, LiveFlags } from './report.ts';

const langOption = () => new Option('--lang <language>', 'of the texts').choices(['en', 'zh']).default('en');
const tableOption = () =>
  new Option('--table <name>', 'with columns account_id, amount, transaction_date, risk_score').default(
    'financial_transactions',
  );
const zoneOption = () =>
  new Option('--time-zone <name>', 'whose midnights divide days, as PostgreSQL knows it').default('UTC');

export function addReportCommands(program: Command): void {
  const report = program
    .command('report')
    .description('reports for people: compliance, and a live page of risk')
    .addHelpText(
      'after',
      '\nExamples:\n  pgherd report compliance --from 2024-05-01 --to 2024-05-31 --out reports\n  pgherd report live',
    );
  addCompliance(report);
  addLive(report);
}

function addCompliance(report: Command): void {
  report
    .command('compliance')
    .description('suspicious activity, volume by day and distribution of risk, as HTML, JSON and CSV')
    .addOption(dataOption())
    .addOption(urlOption())
    .option('--from <date>', 'first day (default: 30 days before --to)')
    .option('--to <date>', 'last day, whole (default: today)')
    .requiredOption('--out <dir>', 'folder of the files; made if it is not there', (dir) => resolve(dir))
    .addOption(tableOption())
    .option('--risk-threshold <score>', 'accounts with transactions above it are suspicious', score, 0.8)
    .addOption(zoneOption())
    .addOption(langOption())
    .option('--json', 'for programs: what was written, and the totals')
    .addHelpText(
      'after',
      `
Examples:
  pgherd report compliance --out reports
  pgherd report compliance --from 2024-05-01 --to 2024-05-31 --out reports --lang zh --time-zone Asia/Shanghai
  pgherd report compliance --url postgresql://analyst@db0/financial_dw --table dw.financial_transactions --out reports`,
    )
    .action(async (flags: ComplianceFlags) => {
      const { complianceReport } = await import('./report.ts');
      await complianceReport(flags, (line) => void process.stdout.write(`${line}\n`));
      leave(exitCodes.done);
    });
}

function addLive(report: Command): void {
  report
    .command('live')
    .description('a page on this machine that shows risky accounts as they appear, with alerts; until Ctrl-C')
    .addOption(dataOption())
    .addOption(urlOption())
    .option('--port <n>', 'of the page', wholeNumber, 8433)
    .option('--interval <seconds>', 'between two looks', wholeNumber, 5)
    .addOption(tableOption())
    .option('--window <interval>', 'how far back transactions count, as PostgreSQL reads it', '1 hour')
    .option('--risk <score>', 'an average risk score above it is an alert', score, 0.7)
    .option('--amount <sum>', 'so is a sum above it', amount, '100000')
    .addOption(zoneOption())
    .addOption(langOption())
    .option('--json', 'write each beginning and end of an alert to standard output too, as a JSON line')
    .addHelpText(
      'after',
      "\nExamples:\n  pgherd report live\n  pgherd report live --interval 2 --window '15 minutes' --amount 50000 --json",
    )
    .action(async (flags: LiveFlags) => {
      const { liveReport } = await import('./report.ts');
      const stop = new AbortController();
      process.once('SIGINT', () => stop.abort()).once('SIGTERM', () => stop.abort());
      await liveReport(flags, (line) => void process.stdout.write(`${line}\n`), stop.signal);
      leave(exitCodes.done);
    });
}

function score(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw new InvalidArgumentError('It must be a number, such as 0.8.');
  return value;
}

function amount(text: string): string {
  if (!/^\d{1,20}(\.\d{1,10})?$/.test(text))
    throw new InvalidArgumentError('It must be an amount, such as 100000 or 99.50.');
  return text;
}
