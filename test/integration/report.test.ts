import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { complianceReport, liveReport } from '../../src/cli/report.ts';
import { openBrowser } from '../harness/browser.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { drawPort } from '../harness/postgres.ts';

let herd: TestHerd;
let client: pg.Client;
let folder: string;

interface Raw {
  readonly account_id: number | null;
  readonly amount: string;
  readonly at: string;
  readonly risk_score: number | null;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pgherd-report-'));
  herd = await startHerd({ nodes: 2 });
  client = new pg.Client({ connectionString: herd.url });
  await client.connect();
  await client.query(`CREATE TABLE financial_transactions (
    transaction_id SERIAL, account_id INTEGER, transaction_type VARCHAR(20), amount DECIMAL(15,2), currency VARCHAR(3),
    transaction_date TIMESTAMP, counterparty_id INTEGER, risk_score FLOAT) DISTRIBUTED BY (account_id)`);
  await client.query(`INSERT INTO financial_transactions (account_id, transaction_type, amount, currency, transaction_date, counterparty_id, risk_score)
    SELECT g % 97, 'transfer', (g * 7919 % 10000000) / 100.0 - 20, CASE WHEN g % 3 = 0 THEN 'EUR' ELSE 'USD' END,
      '2024-04-28'::timestamp + g * interval '7 minutes', g % 11, CASE WHEN g % 50 = 0 THEN NULL ELSE (g * 31 % 101) / 100.0 END
    FROM generate_series(1, 9000) g`);
  // On the borders of scores and days.
  await client.query(`INSERT INTO financial_transactions (account_id, amount, currency, transaction_date, risk_score) VALUES
    (1000, 0.01, 'USD', '2024-05-01 00:00:00', 0.8), (1001, 0.02, 'USD', '2024-05-31 23:59:59.999999', 0.81),
    (1002, 9999999999999.99, 'USD', '2024-06-01 00:00:00', 0.9), (1003, 9999999999999.99, 'USD', '2024-05-07', 0.5)`);
});

afterAll(async () => {
  await client.end();
  await herd.stop();
  rmSync(folder, { recursive: true });
});

const flags = <T extends object>(more: T) => ({
  ...{
    data: '',
    url: herd.url,
    table: 'financial_transactions',
    riskThreshold: 0.8,
    timeZone: 'UTC',
    lang: 'en' as const,
  },
  ...more,
});
const read = (dir: string, file: string) => readFileSync(join(dir, file), 'utf8');
const cents = (amount: string) => BigInt(amount.replace('.', ''));
const money = (value: bigint) => {
  const digits = (value < 0n ? -value : value).toString().padStart(3, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

async function rawRows(from: string, until: string, operator = '<'): Promise<Raw[]> {
  const { rows } = await client.query(
    `SELECT account_id, amount, transaction_date::text AS at, risk_score FROM financial_transactions
      WHERE transaction_date >= $1 AND transaction_date ${operator} $2`,
    [from, until],
  );
  return rows;
}

/** What the source's `groupby` does: groups by a key, in order of first appearance. */
function groups<K>(rows: readonly Raw[], key: (row: Raw) => K): Map<K, Raw[]> {
  const found = new Map<K, Raw[]>();
  for (const row of rows) found.set(key(row), [...(found.get(key(row)) ?? []), row]);
  return found;
}
const sum = (rows: readonly Raw[]) => money(rows.reduce((total, { amount }) => total + cents(amount), 0n));

test('the report gives what its source would compute from the same rows, money to the last cent', async () => {
  const dir = join(folder, 'may');
  const printed: string[] = [];
  await complianceReport(flags({ from: '2024-05-01', to: '2024-05-31', out: dir, json: true }), (line) =>
    printed.push(line),
  );
  const rows = await rawRows('2024-05-01', '2024-06-01');

  const suspicious = groups(
    rows.filter(({ risk_score }) => (risk_score ?? 0) > 0.8),
    ({ account_id }) => account_id,
  );
  const report = JSON.parse(read(dir, 'suspicious_activity_report.json'));
  expect(report).toMatchObject({
    period: '2024-05-01 to 2024-05-31',
    total_suspicious_accounts: suspicious.size,
    total_suspicious_amount: sum([...suspicious.values()].flat()),
  });
  expect(report.accounts).toHaveLength(suspicious.size);
  for (const account of report.accounts) {
    const own = suspicious.get(account.account_id)!;
    const times = own.map(({ at }) => at).sort();
    const average = own.reduce((total, { risk_score }) => total + risk_score!, 0) / own.length;
    expect(account).toMatchObject({
      transaction_count: own.length,
      total_amount: sum(own),
      first_transaction: times[0],
      last_transaction: times.at(-1),
    });
    expect(account.avg_risk_score).toBeCloseTo(average, 10);
  }
  const amounts = report.accounts.map(({ total_amount }: { total_amount: string }) => cents(total_amount));
  expect(amounts.every((amount: bigint, i: number) => i === 0 || amounts[i - 1] >= amount)).toBe(true);

  const days = [...groups(rows, ({ at }) => at.slice(0, 10))].sort(([a], [b]) => (a < b ? -1 : 1));
  const volume = read(dir, 'volume_analysis.csv')
    .trim()
    .split('\r\n')
    .slice(1)
    .map((line) => line.split(','));
  expect(volume.map((line) => line.slice(0, 3))).toEqual(days.map(([day, own]) => [day, String(own.length), sum(own)]));
  const levels = groups(rows, ({ risk_score: score }) =>
    score !== null && score >= 0.8 ? 'high' : score !== null && score >= 0.5 ? 'medium' : 'low',
  );
  const risk = read(dir, 'risk_distribution.csv').trim().split('\r\n').slice(1);
  expect(risk).toEqual(
    (['high', 'medium', 'low'] as const).map(
      (level) => `${level},${levels.get(level)!.length},${sum(levels.get(level)!)}`,
    ),
  );

  expect(JSON.parse(printed.join('\n'))).toMatchObject({ transactions: String(rows.length), total_amount: sum(rows) });
  expect(report.notes).toEqual([
    'The dates carry no time zone: they are taken as stored. Today is that of UTC.',
    'Amounts of 2 currencies are added up as they stand. See the table by currency.',
    expect.stringMatching(/^\d+ transactions have no risk score/),
  ]);
  expect(read(dir, 'suspicious_accounts.csv').trim().split('\r\n')).toHaveLength(suspicious.size + 1);
});

test('points in time are both included, as by BETWEEN', async () => {
  const dir = join(folder, 'moments');
  await complianceReport(flags({ from: '2024-05-01T00:00', to: '2024-06-01T00:00', out: dir }), () => {});
  const rows = await rawRows('2024-05-01', '2024-06-01', '<=');
  const report = JSON.parse(read(dir, 'suspicious_activity_report.json'));
  expect(report.accounts[0]).toMatchObject({ account_id: 1002, total_amount: '9999999999999.99' });
  expect(report.total_suspicious_amount).toBe(sum(rows.filter(({ risk_score }) => (risk_score ?? 0) > 0.8)));
});

test('the pages draw their charts without a network, in both languages, at all widths', async () => {
  const browser = await openBrowser();
  if (browser === undefined) return;
  const dir = join(folder, 'pages');
  await complianceReport(flags({ from: '2024-05-01', to: '2024-05-31', out: dir, lang: 'zh' }), () => {});
  try {
    for (const [file, title] of [
      ['index.html', '合规报告'],
      ['volume_analysis.html', '交易量分析报告'],
      ['risk_distribution.html', '风险分布分析'],
    ] as const) {
      const page = await browser.open(`file://${join(dir, file)}`, { width: 360, height: 800 });
      expect(await page.title()).toBe(title);
      expect(page.faults).toEqual([]);
      expect(await page.evaluate('document.querySelectorAll(".chart svg path").length')).toBeGreaterThan(2);
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
      await page.screenshot(process.env['PGHERD_SCREENSHOTS'], file);
    }
    // Offline is not a promise only: nothing in the pages names another place.
    expect(read(dir, 'index.html')).not.toMatch(/(src|href)=["']?(https?:)?\/\//);
  } finally {
    await browser.close();
  }
});

test('an empty period is said to be empty, and is a report all the same', async () => {
  const dir = join(folder, 'empty');
  const printed: string[] = [];
  await complianceReport(flags({ from: '1999-01-01', to: '1999-01-31', out: dir }), (line) => printed.push(line));
  expect(printed[0]).toBe('There are no transactions in financial_transactions from 1999-01-01 to 1999-01-31.');
  expect(JSON.parse(read(dir, 'suspicious_activity_report.json'))).toMatchObject({
    accounts: [],
    total_suspicious_accounts: 0,
    total_suspicious_amount: '0',
  });
  expect(read(dir, 'index.html')).toContain('There are no transactions in this period.');
});

test('what the table lacks is told, and no file is left or touched', async () => {
  await client.query('CREATE TABLE half (account_id int, amount numeric, booked_at timestamp)');
  const dir = join(folder, 'failed');
  const half = complianceReport(flags({ table: 'half', out: dir }), () => {});
  await expect(half).rejects.toMatchObject({
    message: 'table half lacks transaction_date, risk_score',
    fields: { hint: expect.stringContaining('the table has account_id, amount, booked_at') },
  });
  expect(() => readdirSync(dir)).toThrow('ENOENT');
  mkdirSync(dir);
  writeFileSync(join(dir, 'index.html'), 'of yesterday');
  await expect(complianceReport(flags({ table: 'nowhere', out: dir }), () => {})).rejects.toThrow(
    'there is no table nowhere',
  );
  await expect(complianceReport(flags({ from: '2024-05-31', to: '2024-05-01', out: dir }), () => {})).rejects.toThrow(
    'ends (2024-05-01) before it begins',
  );
  expect(readdirSync(dir)).toEqual(['index.html']);
  expect(read(dir, 'index.html')).toBe('of yesterday');
  await expect(complianceReport(flags({ from: '2024-02-30', out: dir }), () => {})).rejects.toThrow(
    '--from 2024-02-30 is no date',
  );
  await expect(complianceReport(flags({ timeZone: 'Mars/Olympus', out: dir }), () => {})).rejects.toThrow(
    'Mars/Olympus',
  );
});

test('days of a timestamptz begin at midnight of the time zone that is asked for', async () => {
  await client.query(
    'CREATE TABLE zoned (account_id int, amount numeric, transaction_date timestamptz, risk_score real)',
  );
  await client.query("INSERT INTO zoned VALUES (1, 5, '2024-05-31 22:30+00', 0.9), (2, 7, '2024-05-01 23:00+00', 0.9)");
  const dir = join(folder, 'zoned');
  await complianceReport(
    flags({ table: 'zoned', from: '2024-05-02', to: '2024-06-01', timeZone: 'Europe/Berlin', out: dir }),
    () => {},
  );
  expect(
    read(dir, 'volume_analysis.csv')
      .split('\r\n')
      .slice(1, 3)
      .map((line) => line.split(',').slice(0, 3)),
  ).toEqual([
    ['2024-05-02', '1', '7'],
    ['2024-06-01', '1', '5'],
  ]);
});

test('the live page shows risky accounts, alerts that begin and end, and that it sees nothing', async () => {
  await client.query(
    'CREATE TABLE now_trades (account_id int, amount numeric(15,2), transaction_date timestamp, risk_score float) DISTRIBUTED BY (account_id)',
  );
  await client.query(
    "INSERT INTO now_trades VALUES (1, 60000, now(), 0.1), (1, 60000.50, now(), 0.2), (2, 10, now(), 0.95), (3, 10, now(), 0.1), (4, 1e6, now() - interval '2 hours', 1)",
  );
  const stop = new AbortController();
  const port = await drawPort();
  const printed: string[] = [];
  const live = liveReport(
    { ...flags({ table: 'now_trades' }), port, interval: 1, window: '1 hour', risk: 0.7, amount: '100000', json: true },
    (line) => printed.push(line),
    stop.signal,
  );
  const state = async () => (await fetch(`http://127.0.0.1:${port}/state.json`)).json();
  try {
    await expect
      .poll(() => state().catch(() => null), { timeout: 20_000 })
      .toMatchObject({
        accounts: [
          { accountId: '1', amount: '120000.50', transactions: '2', reasons: ['amount'] },
          { accountId: '2', amount: '10.00', reasons: ['risk'] },
        ],
        openAlerts: 2,
        blind: null,
      });
    const browser = await openBrowser();
    const page = await browser?.open(`http://127.0.0.1:${port}/`, { width: 1200, height: 900 });
    await client.query('DELETE FROM now_trades WHERE account_id = 1');
    await expect.poll(state, { timeout: 20_000 }).toMatchObject({
      openAlerts: 1,
      alerts: [
        { accountId: '2', endedAt: null },
        { accountId: '1', endedAt: expect.any(String) },
      ],
    });
    await client.query('ALTER TABLE now_trades RENAME TO then_trades');
    await expect
      .poll(state, { timeout: 20_000 })
      .toMatchObject({ openAlerts: 1, blind: { why: 'there is no table now_trades' } });
    if (page && browser) {
      await expect
        .poll(() => page.evaluate('document.getElementById("state").textContent'))
        .toContain('there is no table now_trades');
      expect(await page.evaluate('document.querySelectorAll("#alerts tr").length')).toBe(2);
      expect(page.faults).toEqual([]);
      await page.screenshot(process.env['PGHERD_SCREENSHOTS'], 'live.html');
      await browser.close();
    }
    expect(
      printed.map((line) => JSON.parse(line)).map(({ accountId, endedAt }) => [accountId, endedAt !== null]),
    ).toEqual([
      ['1', false],
      ['2', false],
      ['1', true],
    ]);
    expect(await statusFor(port, 'evil.example')).toBe(403);
  } finally {
    stop.abort();
    await live;
  }
});

/** `fetch` lets nobody choose the host's name. */
function statusFor(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', path: '/state.json', headers: { host } }, ({ statusCode }) =>
      resolve(statusCode),
    );
    asked.on('error', reject).end();
  });
}
