import { chance, type Demo, oneOf } from './demo.ts';

const accountsPer = 40;
const types = ['transfer', 'transfer', 'transfer', 'card', 'card', 'card', 'card', 'deposit', 'withdrawal', 'fee'];
const currencies = ['USD', 'USD', 'USD', 'USD', 'EUR', 'EUR', 'GBP', 'CNY', 'CNY', 'JPY'];

/** Few accounts have many transactions; amounts spread over five powers of ten; most risk is low, and large sums are riskier. */
const amount = `exp(1.5 + 7.5 * ${chance(3)} * ${chance(4)})`;
const accountOf = (rows: number) =>
  `1 + floor(power(${chance(1)}, 2.5) * ${Math.max(10, Math.floor(rows / accountsPer))})::int`;
const risk = `least(0.999, power(${chance(5)}, 3) * 0.92 + CASE WHEN ${amount} > 3000 THEN 0.25 ELSE 0 END)`;
/** More by day than by night, in the last ninety days. */
const when = `date_trunc('second', now()::timestamp - floor(power(${chance(6)}, 1.05) * 90) * interval '1 day'
  - abs(${chance(7)} + ${chance(8)} - 1) * interval '12 hours')`;

export const finance: Demo = {
  name: 'finance',
  rowsOf: 'financial_transactions',
  tables: [
    {
      name: 'financial_transactions',
      columns: `transaction_id SERIAL, account_id INTEGER, transaction_type VARCHAR(20), amount DECIMAL(15,2), currency VARCHAR(3),
        transaction_date TIMESTAMP, counterparty_id INTEGER, risk_score FLOAT`,
      distribution: { kind: 'by', column: 'account_id', with: 'none' },
      rows: (rows) => rows,
      filled: 'account_id, transaction_type, amount, currency, transaction_date, counterparty_id, risk_score',
      make: (rows) =>
        `${accountOf(rows)}, ${oneOf(2, types)}, round((${amount})::numeric, 2), ${oneOf(9, currencies)}, ${when},
         1 + floor(${chance(10)} * 5000)::int, round((${risk})::numeric, 3)`,
    },
  ],
  keys: [],
  queries: [
    {
      about: 'accounts by risk, over all nodes',
      sql: `WITH risk_analysis AS (
  SELECT account_id, COUNT(*) AS transaction_count, SUM(amount) AS total_amount, AVG(risk_score) AS avg_risk_score
    FROM financial_transactions WHERE transaction_date >= CURRENT_DATE - INTERVAL '30 days' GROUP BY account_id)
SELECT CASE WHEN avg_risk_score > 0.8 THEN 'HIGH' WHEN avg_risk_score > 0.5 THEN 'MEDIUM' ELSE 'LOW' END AS risk_category,
       COUNT(*) AS account_count, AVG(total_amount) AS avg_amount, SUM(total_amount) AS total_volume
  FROM risk_analysis GROUP BY risk_category ORDER BY risk_category;`,
    },
    {
      about: 'one account: one node answers',
      sql: 'SELECT * FROM financial_transactions WHERE account_id = 1 ORDER BY transaction_date DESC LIMIT 10;',
    },
    {
      about: 'how it is done',
      sql: 'EXPLAIN SELECT currency, SUM(amount) FROM financial_transactions GROUP BY currency;',
    },
  ],
};
