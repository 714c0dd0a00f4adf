import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerConnection } from '../backend/server-connection.ts';
import { type ReportStep, reportSteps, writeComplianceReport } from '../report/compliance-report.ts';
import { livePage } from '../report/live-page.ts';
import { LiveRisk, type LiveRules, lookForRisk } from '../report/live-risk.ts';
import { type LiveServer, startLiveServer } from '../report/live-server.ts';
import { grouped, type Language } from '../report/words.ts';
import { openHerdClient } from './herd-client.ts';
import { createProgressBar } from './progress-bar.ts';

interface Where {
  readonly data: string;
  readonly url?: string;
}

export interface ComplianceFlags extends Where {
  readonly from?: string;
  readonly to?: string;
  readonly out: string;
  readonly table: string;
  readonly riskThreshold: number;
  readonly timeZone: string;
  readonly lang: Language;
  readonly json?: true;
}

const stepWords: Readonly<Record<ReportStep, string>> = {
  volume: 'volume by day',
  risk: 'risk levels',
  accounts: 'accounts',
  pages: 'pages',
};

export async function complianceReport(flags: ComplianceFlags, print: (line: string) => void): Promise<void> {
  const connection = await openHerdClient(flags);
  const bar = createProgressBar();
  // So that what was begun is removed.
  const giveUp = () => connection.close();
  process.once('SIGINT', giveUp).once('SIGTERM', giveUp);
  const { table, timeZone, riskThreshold, out: dir, lang: language } = flags;
  const request = { ...{ table, timeZone, riskThreshold, dir, language }, from: flags.from, to: flags.to };
  try {
    const { files, data, suspicious } = await writeComplianceReport(connection, request, (step, done) =>
      bar.show(reportSteps.indexOf(step) / reportSteps.length, `${stepWords[step]}${done ? ` ${done}` : ''}`),
    );
    bar.end();
    const totals = {
      ...{ period: `${data.period.from} to ${data.period.to}`, transactions: data.count, total_amount: data.amount },
      ...{ total_suspicious_accounts: suspicious.accounts, total_suspicious_amount: suspicious.amount },
    };
    if (flags.json) return print(JSON.stringify({ dir, files, ...totals }, null, 2));
    if (data.volume.length === 0)
      print(`There are no transactions in ${table} from ${data.period.from} to ${data.period.to}.`);
    print(`${totals.period}: ${grouped(data.count)} transactions, ${grouped(data.amount)} in all`);
    print(`${grouped(suspicious.accounts)} suspicious accounts, ${grouped(suspicious.amount)}`);
    for (const file of files) print(`  ${dir}/${file}`);
  } finally {
    bar.end();
    connection.close();
    process.off('SIGINT', giveUp).off('SIGTERM', giveUp);
  }
}

export interface LiveFlags extends Where {
  readonly port: number;
  /** Seconds. */
  readonly interval: number;
  readonly table: string;
  readonly window: string;
  readonly risk: number;
  readonly amount: string;
  readonly timeZone: string;
  readonly lang: Language;
  readonly json?: true;
}

/** A look that takes longer is told as one that failed. */
const maxLookSeconds = 30;

/** Until the signal. The first look must succeed: a wrong table or URL is told at once. */
export async function liveReport(flags: LiveFlags, print: (line: string) => void, signal: AbortSignal): Promise<void> {
  const rules: LiveRules = { table: flags.table, window: flags.window, risk: flags.risk, amount: flags.amount };
  let connection: ServerConnection | null = await openLive(flags);
  const risk = new LiveRisk();
  const tell = (accounts: Awaited<ReturnType<typeof lookForRisk>>) => {
    const changed = risk.see(accounts, new Date().toISOString());
    if (flags.json) for (const alert of changed) print(JSON.stringify(alert));
  };
  tell(await lookForRisk(connection, rules));
  const server: LiveServer = await startLiveServer(flags.port, livePage(rules, flags.lang));
  server.publish(risk.state(new Date().toISOString()));
  if (!flags.json) print(`live risk: http://127.0.0.1:${server.port}/  (Ctrl-C ends it)`);
  while (!signal.aborted) {
    await sleep(flags.interval * 1_000, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    try {
      connection = connection === null || connection.closed ? await openLive(flags) : connection;
      tell(await lookForRisk(connection, rules));
    } catch (error) {
      risk.fail((error as Error).message, new Date().toISOString());
    }
    server.publish(risk.state(new Date().toISOString()));
  }
  server.close();
  connection?.close();
}

async function openLive(flags: LiveFlags): Promise<ServerConnection> {
  const connection = await openHerdClient(flags);
  await connection.query(`SET TIME ZONE '${flags.timeZone.replaceAll("'", "''")}'`);
  await connection.query(`SET statement_timeout = '${maxLookSeconds}s'`);
  return connection;
}
