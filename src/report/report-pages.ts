import { addDecimals, decimalText, parseDecimal, zeroDecimal } from '../core/decimal.ts';
import { riskChart, volumeChart } from './charts.ts';
import type { ComplianceData, SuspiciousAccount } from './compliance-data.ts';
import { type Column, escapeHtml, factList, htmlPage, htmlTable } from './html-page.ts';
import { grouped, type Words } from './words.ts';

/** What came of the accounts' pass. */
export interface SuspiciousSummary {
  readonly accounts: string;
  readonly amount: string;
  /** The largest. */
  readonly top: readonly SuspiciousAccount[];
}

export interface PageContext {
  readonly data: ComplianceData;
  readonly words: Words;
  readonly library: string;
}

export function volumePage({ data, words, library }: PageContext): string {
  const body = `<h1>${words.volumeTitle}</h1>${facts(data, words)}${volumeSection(data, words)}`;
  return htmlPage({
    words,
    title: words.volumeTitle,
    body,
    scripts: chartScripts(library, volumeScripts(data, words)),
  });
}

export function riskPage({ data, words, library }: PageContext): string {
  const body = `<h1>${words.riskTitle}</h1>${facts(data, words)}${riskSection(data, words)}`;
  return htmlPage({ words, title: words.riskTitle, body, scripts: chartScripts(library, riskScripts(data, words)) });
}

export function indexPage({ data, words, library }: PageContext, suspicious: SuspiciousSummary): string {
  const body = [
    `<h1>${words.title}</h1>`,
    facts(data, words, [
      [words.transactions, grouped(data.count)],
      [words.totalAmount, grouped(data.amount)],
      [words.suspiciousAccounts, grouped(suspicious.accounts)],
      [words.suspiciousAmount, grouped(suspicious.amount)],
    ]),
    `<h2>${words.volumeTitle}</h2>${volumeSection(data, words)}`,
    `<h2>${words.riskTitle}</h2>${riskSection(data, words)}`,
    `<h2>${words.suspiciousTitle}</h2>${suspiciousSection(data, suspicious, words)}`,
    currencySection(data, words),
    fileSection(words),
  ].join('\n');
  const scripts = chartScripts(library, [...volumeScripts(data, words), ...riskScripts(data, words)]);
  return htmlPage({ words, title: words.title, body, scripts });
}

const chartScripts = (library: string, scripts: readonly string[]) =>
  scripts.length === 0 ? [] : [library, ...scripts];
const isEmpty = ({ volume }: ComplianceData) => volume.length === 0;
const hasPie = ({ risk }: ComplianceData) => risk.some(({ amount }) => Number(amount) > 0);

const volumeScripts = (data: ComplianceData, words: Words) =>
  isEmpty(data) ? [] : [volumeChart('volume', data.volume, words)];
const riskScripts = (data: ComplianceData, words: Words) => (hasPie(data) ? [riskChart('risk', data.risk, words)] : []);

function facts(data: ComplianceData, words: Words, more: readonly (readonly [string, string])[] = []): string {
  const list = factList([
    [words.period, `${data.period.from} ${words.to} ${data.period.to}`],
    [words.table, data.source.name],
    [words.timeZone, data.timeZone],
    [words.generatedAt, data.generatedAt],
    ...more,
  ]);
  const notes = notesOf(data, words).map((note) => `<li>${escapeHtml(note)}</li>`);
  return `${list}<div class="notes"><ul>${notes.join('')}</ul></div>`;
}

/** What a reader must know to read the figures rightly. */
export function notesOf(data: ComplianceData, words: Words): string[] {
  const currencies = data.currencies?.length ?? 0;
  return [
    data.source.dateType === 'timestamptz' ? words.inZone(data.timeZone) : words.noZone(data.timeZone),
    ...(currencies > 1 ? [words.manyCurrencies(currencies)] : []),
    ...(data.unscored === '0' ? [] : [words.unscored(grouped(data.unscored))]),
    ...(data.source.amountIsFloat ? [words.float] : []),
  ];
}

function volumeSection(data: ComplianceData, words: Words): string {
  if (isEmpty(data)) return emptyNote(words);
  return `<div id="volume" class="chart"></div>${htmlTable(data.volume, [
    { head: words.date, cell: ({ day }) => day },
    { head: words.count, isNumber: true, cell: ({ count }) => grouped(count) },
    { head: words.totalAmount, isNumber: true, cell: ({ amount }) => grouped(amount) },
    {
      head: words.averageAmount,
      isNumber: true,
      cell: ({ average }) => grouped(average.replace(/(\.\d{4})\d+$/, '$1')),
    },
  ])}`;
}

function riskSection(data: ComplianceData, words: Words): string {
  if (isEmpty(data)) return emptyNote(words);
  const total = Number(
    decimalText(data.risk.reduce((sum, { amount }) => addDecimals(sum, parseDecimal(amount)), zeroDecimal)),
  );
  const chart = hasPie(data) ? '<div id="risk" class="chart pie"></div>' : `<p class="empty">${words.noPositive}</p>`;
  return `${chart}${htmlTable(data.risk, [
    { head: words.riskLevel, cell: ({ level }) => words[level] },
    { head: words.count, isNumber: true, cell: ({ count }) => grouped(count) },
    { head: words.totalAmount, isNumber: true, cell: ({ amount }) => grouped(amount) },
    {
      head: words.share,
      isNumber: true,
      cell: ({ amount }) => (total > 0 ? `${((100 * Number(amount)) / total).toFixed(1)} %` : ''),
    },
  ])}`;
}

function suspiciousSection(data: ComplianceData, { accounts, top }: SuspiciousSummary, words: Words): string {
  if (isEmpty(data)) return emptyNote(words);
  const threshold = `<p class="soft">${words.threshold(data.riskThreshold)}</p>`;
  if (top.length === 0) return `${threshold}<p class="empty">${words.noSuspicious}</p>`;
  const shown = words.shown(top.length, grouped(accounts), 'suspicious_accounts.csv');
  const columns: Column<SuspiciousAccount>[] = [
    { head: words.account, cell: ({ accountId }) => accountId ?? words.none },
    { head: words.count, isNumber: true, cell: ({ count }) => grouped(count) },
    { head: words.totalAmount, isNumber: true, cell: ({ amount }) => grouped(amount) },
    { head: words.averageRisk, isNumber: true, cell: ({ averageRisk }) => averageRisk.toFixed(3) },
    { head: words.first, cell: ({ first }) => first.slice(0, 19) },
    { head: words.last, cell: ({ last }) => last.slice(0, 19) },
  ];
  return `${threshold}${htmlTable(top, columns)}<p class="soft">${escapeHtml(shown)}</p>`;
}

function currencySection({ currencies }: ComplianceData, words: Words): string {
  if (currencies === null || currencies.length === 0) return '';
  return `<h2>${words.currencies}</h2>${htmlTable(currencies, [
    { head: words.currency, cell: ({ currency }) => currency ?? words.none },
    { head: words.count, isNumber: true, cell: ({ count }) => grouped(count) },
    { head: words.totalAmount, isNumber: true, cell: ({ amount }) => grouped(amount) },
  ])}`;
}

export const reportFiles = [
  'suspicious_activity_report.json',
  'suspicious_accounts.csv',
  'volume_analysis.html',
  'volume_analysis.csv',
  'risk_distribution.html',
  'risk_distribution.csv',
] as const;

function fileSection(words: Words): string {
  const links = reportFiles.map((file) => `<li><a href="${file}">${file}</a></li>`);
  return `<section class="noprint"><h2>${words.files}</h2><ul>${links.join('')}</ul></section>`;
}

const emptyNote = (words: Words) => `<p class="empty">${words.empty}</p>`;
