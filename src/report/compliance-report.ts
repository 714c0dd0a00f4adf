import type { ServerConnection } from '../backend/server-connection.ts';
import { addDecimals, type Decimal, decimalText, parseDecimal, zeroDecimal } from '../core/decimal.ts';
import {
  type ComplianceData,
  type ComplianceRequest,
  readCompliance,
  type SuspiciousAccount,
} from './compliance-data.ts';
import { csvLine } from './csv.ts';
import { chartLibrary } from './html-page.ts';
import { indexPage, notesOf, riskPage, type SuspiciousSummary, volumePage } from './report-pages.ts';
import { suspiciousAccounts } from './suspicious-accounts.ts';
import { type FileSet, type FileWriter, writeWhole } from './whole-files.ts';
import { type Language, words } from './words.ts';

export interface ComplianceReportRequest extends ComplianceRequest {
  readonly dir: string;
  readonly language: Language;
}

export type ReportStep = 'volume' | 'risk' | 'accounts' | 'pages';
export const reportSteps: readonly ReportStep[] = ['volume', 'risk', 'accounts', 'pages'];

export interface ComplianceReport {
  readonly files: readonly string[];
  readonly data: ComplianceData;
  readonly suspicious: SuspiciousSummary;
}

const topAccounts = 20;

/**
 * Makes the whole report, of one moment, in memory that doesn't grow with the transactions or accounts. `onStep` is told what begins,
 * and how many accounts are written.
 */
export async function writeComplianceReport(
  connection: ServerConnection,
  request: ComplianceReportRequest,
  onStep: (step: ReportStep, done?: number) => void,
): Promise<ComplianceReport> {
  let report: Omit<ComplianceReport, 'files'> | undefined;
  const files = await writeWhole(request.dir, async (set) => {
    const data = await readCompliance(connection, request, onStep);
    onStep('accounts');
    const suspicious = await writeAccounts(set, connection, { data, language: request.language, onStep });
    await connection.query('COMMIT');
    onStep('pages');
    await writePages(set, data, { suspicious, language: request.language });
    report = { data, suspicious };
  });
  return { files, ...report! };
}

interface AccountContext {
  readonly data: ComplianceData;
  readonly language: Language;
  readonly onStep: (step: ReportStep, done?: number) => void;
}

/** JSON and CSV in one pass. What is known only at its end stands behind the accounts. */
async function writeAccounts(
  set: FileSet,
  connection: ServerConnection,
  { data, language, onStep }: AccountContext,
): Promise<SuspiciousSummary> {
  const [json, csv] = [await set.file('suspicious_activity_report.json'), await set.file('suspicious_accounts.csv')];
  const { period, source } = data;
  const head = {
    ...{ period: `${period.from} to ${period.to}`, table: source.name, time_zone: data.timeZone },
    ...{ generated_at: data.generatedAt, risk_threshold: data.riskThreshold, notes: notesOf(data, words[language]) },
  };
  await json.write(`${JSON.stringify(head, null, 2).slice(0, -2)},\n  "accounts": [`);
  await csv.write(csvLine(accountColumns));
  const top: SuspiciousAccount[] = [];
  let [count, sum]: [number, Decimal] = [0, zeroDecimal];
  for await (const account of suspiciousAccounts(connection, data)) {
    await writeAccount(account, { json, csv, isFirst: count === 0 });
    if (count < topAccounts) top.push(account);
    count += 1;
    sum = addDecimals(sum, parseDecimal(account.amount));
    if (count % 10_000 === 0) onStep('accounts', count);
  }
  const summary = { accounts: String(count), amount: decimalText(sum), top };
  await json.write(
    `${count === 0 ? '' : '\n  '}],\n  "total_suspicious_accounts": ${count},\n  "total_suspicious_amount": "${summary.amount}"\n}\n`,
  );
  return summary;
}

const accountColumns = [
  'account_id',
  'transaction_count',
  'total_amount',
  'avg_risk_score',
  'first_transaction',
  'last_transaction',
];

async function writeAccount(
  { accountId, accountIdIsNumber, count, amount, averageRisk, first, last }: SuspiciousAccount,
  { json, csv, isFirst }: { readonly json: FileWriter; readonly csv: FileWriter; readonly isFirst: boolean },
): Promise<void> {
  const id = accountIdIsNumber && accountId !== null ? accountId : JSON.stringify(accountId);
  const fields = JSON.stringify({
    ...{ transaction_count: Number(count), total_amount: amount, avg_risk_score: averageRisk },
    ...{ first_transaction: first, last_transaction: last },
  });
  await json.write(`${isFirst ? '' : ','}\n    {"account_id":${id},${fields.slice(1)}`);
  await csv.write(csvLine([accountId, count, amount, String(averageRisk), first, last]));
}

async function writePages(
  set: FileSet,
  data: ComplianceData,
  { suspicious, language }: { readonly suspicious: SuspiciousSummary; readonly language: Language },
): Promise<void> {
  const context = { data, words: words[language], library: chartLibrary() };
  const volume = data.volume.map(({ day, count, amount, average }) => csvLine([day, count, amount, average]));
  const risk = data.risk.map(({ level, count, amount }) => csvLine([level, count, amount]));
  const texts: Readonly<Record<string, string>> = {
    'index.html': indexPage(context, suspicious),
    'volume_analysis.html': volumePage(context),
    'volume_analysis.csv':
      csvLine(['transaction_date', 'transaction_count', 'total_amount', 'avg_amount']) + volume.join(''),
    'risk_distribution.html': riskPage(context),
    'risk_distribution.csv': csvLine(['risk_level', 'transaction_count', 'total_amount']) + risk.join(''),
  };
  for (const [name, text] of Object.entries(texts)) await (await set.file(name)).write(text);
}
