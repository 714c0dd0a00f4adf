import type { ServerConnection } from '../backend/server-connection.ts';
import { addDecimals, decimalText, parseDecimal, zeroDecimal } from '../core/decimal.ts';
import { type Period, readPeriod } from './period.ts';
import { findSourceTable, type SourceTable } from './source-table.ts';

export interface ComplianceRequest {
  readonly table: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** Days begin at its midnight. */
  readonly timeZone: string;
  /** Accounts with transactions above it are suspicious. */
  readonly riskThreshold: number;
}

/** Amounts are exact decimal text. */
export interface DayVolume {
  readonly day: string;
  readonly count: string;
  readonly amount: string;
  readonly average: string;
}

export type RiskLevel = 'high' | 'medium' | 'low';

export interface RiskShare {
  readonly level: RiskLevel;
  readonly count: string;
  readonly amount: string;
}

export interface SuspiciousAccount {
  readonly accountId: string | null;
  readonly accountIdIsNumber: boolean;
  readonly count: string;
  readonly amount: string;
  readonly averageRisk: number;
  readonly first: string;
  readonly last: string;
}

/** What the report tells, but for the accounts, of which there may be any number. */
export interface ComplianceData {
  readonly source: SourceTable;
  readonly period: Period;
  readonly timeZone: string;
  readonly riskThreshold: number;
  /** ISO 8601, UTC. */
  readonly generatedAt: string;
  readonly count: string;
  readonly amount: string;
  readonly volume: readonly DayVolume[];
  readonly risk: readonly RiskShare[];
  /** Transactions without a risk score: counted as low. */
  readonly unscored: string;
  /** Null: the table has no such column. */
  readonly currencies:
    | readonly { readonly currency: string | null; readonly count: string; readonly amount: string }[]
    | null;
}

/** Opens the snapshot that all of the report is made from. Rows are added up where they are. */
export async function readCompliance(
  connection: ServerConnection,
  request: ComplianceRequest,
  onStep: (step: 'volume' | 'risk') => void,
): Promise<ComplianceData> {
  await connection.query(`SET TIME ZONE '${request.timeZone.replaceAll("'", "''")}'`);
  await connection.query('SET DateStyle = ISO');
  const source = await findSourceTable(connection, request.table);
  await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const clock = await connection.query(
    'SELECT current_date, to_char(now() AT TIME ZONE \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')',
  );
  const [today, generatedAt] = clock.rows[0]!;
  const period = readPeriod(request.from, request.to, today!);
  onStep('volume');
  const volume = await readVolume(connection, source, period);
  onStep('risk');
  const { risk, unscored } = await readRisk(connection, source, period);
  const sum = volume.reduce((total, { amount }) => addDecimals(total, parseDecimal(amount)), zeroDecimal);
  return {
    ...{ source, period, timeZone: request.timeZone, riskThreshold: request.riskThreshold, generatedAt: generatedAt! },
    count: String(volume.reduce((total, { count }) => total + BigInt(count), 0n)),
    amount: decimalText(sum),
    ...{ volume, risk, unscored },
    currencies: source.hasCurrency ? await readCurrencies(connection, source, period) : null,
  };
}

export function inPeriod({ dateType }: SourceTable, { upperOperator }: Period): string {
  const type = dateType === 'timestamptz' ? 'timestamptz' : 'timestamp';
  return `transaction_date >= $1::${type} AND transaction_date ${upperOperator} $2::${type}`;
}

async function readVolume(connection: ServerConnection, source: SourceTable, period: Period): Promise<DayVolume[]> {
  const { rows } = await connection.query(
    `SELECT transaction_date::date AS transaction_date, count(*), coalesce(sum(${source.amount}), 0), coalesce(avg(${source.amount}), 0)
       FROM ${source.sql} WHERE ${inPeriod(source, period)} GROUP BY 1 ORDER BY 1`,
    [period.lower, period.upper],
  );
  return rows.map(([day, count, amount, average]) => ({
    day: day!,
    count: count!,
    amount: amount!,
    average: average!,
  }));
}

async function readRisk(connection: ServerConnection, source: SourceTable, period: Period) {
  const { rows } = await connection.query(
    `SELECT CASE WHEN risk_score >= 0.8 THEN 'high' WHEN risk_score >= 0.5 THEN 'medium' ELSE 'low' END AS risk_level,
         count(*), coalesce(sum(${source.amount}), 0), count(*) - count(risk_score)
       FROM ${source.sql} WHERE ${inPeriod(source, period)} GROUP BY 1`,
    [period.lower, period.upper],
  );
  const risk = (['high', 'medium', 'low'] as const).flatMap((level): RiskShare[] => {
    const row = rows.find(([name]) => name === level);
    return row ? [{ level, count: row[1]!, amount: row[2]! }] : [];
  });
  const unscored = String(rows.reduce((total, row) => total + BigInt(row[3]!), 0n));
  return { risk, unscored };
}

async function readCurrencies(connection: ServerConnection, source: SourceTable, period: Period) {
  const { rows } = await connection.query(
    `SELECT currency, count(*), coalesce(sum(${source.amount}), 0)
       FROM ${source.sql} WHERE ${inPeriod(source, period)} GROUP BY 1 ORDER BY 1`,
    [period.lower, period.upper],
  );
  return rows.map(([currency, count, amount]) => ({ currency: currency!, count: count!, amount: amount! }));
}
