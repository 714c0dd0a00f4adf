import type { SqlRunner } from '../core/runner.ts';
import { findSourceTable } from './source-table.ts';

/** The rules of the source's view `real_time_risk_monitor`. */
export interface LiveRules {
  readonly table: string;
  /** An interval of PostgreSQL's. */
  readonly window: string;
  readonly risk: number;
  /** Exact decimal text. */
  readonly amount: string;
}

export interface RiskyAccount {
  readonly accountId: string;
  readonly transactions: string;
  /** Exact decimal text. */
  readonly amount: string;
  readonly averageRisk: number;
  readonly last: string;
  /** Which rule it breaks. */
  readonly reasons: readonly ('risk' | 'amount')[];
}

export interface RiskAlert {
  readonly number: number;
  readonly accountId: string;
  readonly reasons: RiskyAccount['reasons'];
  readonly amount: string;
  readonly averageRisk: number;
  /** ISO 8601. */
  readonly beganAt: string;
  /** Null: it goes on. */
  readonly endedAt: string | null;
}

export interface LiveState {
  readonly at: string;
  /** Of the last look that succeeded. */
  readonly accounts: readonly RiskyAccount[];
  /** Of how many accounts those are the largest. */
  readonly accountCount: number;
  /** Newest first. */
  readonly alerts: readonly RiskAlert[];
  readonly openAlerts: number;
  /** What can't be seen at present, and since when. */
  readonly blind: { readonly since: string; readonly why: string } | null;
}

const maxShownAccounts = 200;
const maxEndedAlerts = 200;

export async function lookForRisk(runner: SqlRunner, rules: LiveRules): Promise<RiskyAccount[]> {
  const source = await findSourceTable(runner, rules.table);
  const { rows } = await runner.query(
    `SELECT account_id, count(*) AS recent_transactions, sum(${source.amount}) AS recent_amount, avg(risk_score) AS recent_risk_score,
         max(transaction_date) AS last_transaction, coalesce(avg(risk_score) > $2::float8, false), coalesce(sum(${source.amount}) > $3::numeric, false)
       FROM ${source.sql} WHERE transaction_date >= now() - $1::interval
      GROUP BY account_id HAVING avg(risk_score) > $2::float8 OR sum(${source.amount}) > $3::numeric`,
    [rules.window, String(rules.risk), rules.amount],
  );
  const accounts = rows.map(
    ([accountId, transactions, amount, risk, last, byRisk, byAmount]): RiskyAccount => ({
      ...{ accountId: accountId ?? '', transactions: transactions!, amount: amount ?? '0' },
      ...{ averageRisk: Number(risk), last: last ?? '' },
      reasons: [...(byRisk === 't' ? (['risk'] as const) : []), ...(byAmount === 't' ? (['amount'] as const) : [])],
    }),
  );
  return accounts.sort((a, b) => Number(b.amount) - Number(a.amount));
}

/** Alerts with a beginning and an end: an account that is risky at one look after the other is one alert. */
export class LiveRisk {
  #open = new Map<string, RiskAlert>();
  #ended: RiskAlert[] = [];
  #accounts: readonly RiskyAccount[] = [];
  #blind: LiveState['blind'] = null;
  #number = 0;

  /** What began and what ended at this look. */
  see(accounts: readonly RiskyAccount[], at: string): RiskAlert[] {
    this.#accounts = accounts;
    this.#blind = null;
    const changed: RiskAlert[] = [];
    const now = new Map(accounts.map((account) => [account.accountId, account]));
    for (const [id, alert] of this.#open) {
      const account = now.get(id);
      if (account) this.#open.set(id, { ...alert, ...figures(account) });
      else {
        this.#open.delete(id);
        changed.push({ ...alert, endedAt: at });
      }
    }
    this.#ended = [...changed, ...this.#ended].slice(0, maxEndedAlerts);
    for (const [id, account] of now) {
      if (this.#open.has(id)) continue;
      const alert = { number: ++this.#number, accountId: id, ...figures(account), beganAt: at, endedAt: null };
      this.#open.set(id, alert);
      changed.push(alert);
    }
    return changed;
  }

  /** A look that failed says nothing of the accounts: their alerts go on. */
  fail(why: string, at: string): void {
    this.#blind = { since: this.#blind?.since ?? at, why };
  }

  state(at: string): LiveState {
    const open = [...this.#open.values()].sort((a, b) => b.number - a.number);
    return {
      ...{ at, accounts: this.#accounts.slice(0, maxShownAccounts), accountCount: this.#accounts.length },
      alerts: [...open, ...this.#ended].slice(0, maxEndedAlerts),
      ...{ openAlerts: open.length, blind: this.#blind },
    };
  }
}

function figures({ amount, averageRisk, reasons }: RiskyAccount) {
  return { amount, averageRisk, reasons };
}
