import { PortalRows } from '../backend/portal-rows.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import { type ComplianceData, inPeriod, type SuspiciousAccount } from './compliance-data.ts';

const batchRows = 1_000;
const integerTypes: ReadonlySet<number> = new Set([20, 21, 23]);

/** Accounts with transactions above the threshold, by amount; one batch of them is held at a time. In the snapshot of `readCompliance`. */
export async function* suspiciousAccounts(
  connection: ServerConnection,
  { source, period, riskThreshold }: ComplianceData,
): AsyncGenerator<SuspiciousAccount> {
  const sql = `SELECT account_id, count(*) AS transaction_count, coalesce(sum(${source.amount}), 0) AS total_amount,
      avg(risk_score) AS avg_risk_score, min(transaction_date) AS first_transaction, max(transaction_date) AS last_transaction
    FROM ${source.sql} WHERE ${inPeriod(source, period)} AND risk_score > ${riskThreshold}
    GROUP BY account_id ORDER BY total_amount DESC, account_id`;
  const portal = await PortalRows.open(connection, { sql, parameters: [period.lower, period.upper] }, batchRows);
  try {
    const accountIdIsNumber = integerTypes.has(portal.shape.typeOids[0]!);
    for (let batch = await portal.next(); batch.length > 0; batch = await portal.next()) {
      for (const [accountId, count, amount, risk, first, last] of batch) {
        yield {
          ...{ accountId: accountId!, accountIdIsNumber, count: count!, amount: amount!, averageRisk: Number(risk) },
          ...{ first: first!, last: last! },
        };
      }
    }
  } finally {
    await portal.close();
  }
}
