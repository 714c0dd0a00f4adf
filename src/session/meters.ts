import { PgError } from '../core/errors.ts';
import { LatencyHistogram } from '../core/latency.ts';

/**
 * `parse`: texts that were not cached; `plan`: from the statement to its plan; `run`: from the plan to the last row; `commit`: the end of a
 * transaction on all its servers; `statement`: the whole statement.
 */
export const stages = ['parse', 'plan', 'run', 'commit', 'statement'] as const;
export type Stage = (typeof stages)[number];

export const statementClasses = ['select', 'insert', 'update', 'delete', 'copy', 'transaction', 'other'] as const;
export type StatementClass = (typeof statementClasses)[number];

/** What this router has done since its start. Counters only: they stand on the hot path. */
export class RouterMeters {
  readonly stages: Readonly<Record<Stage, LatencyHistogram>> = {
    ...{ parse: new LatencyHistogram(), plan: new LatencyHistogram(), run: new LatencyHistogram() },
    ...{ commit: new LatencyHistogram(), statement: new LatencyHistogram() },
  };
  readonly statements: Record<StatementClass, number> = {
    ...{ select: 0, insert: 0, update: 0, delete: 0, copy: 0, transaction: 0, other: 0 },
  };
  /** By rung. */
  readonly plans = new Map<string, number>();
  /** By class of SQLSTATE: its first two characters. */
  readonly errors = new Map<string, number>();

  statementDone(kind: string, ms: number): void {
    this.statements[classOf(kind)] += 1;
    this.stages.statement.observe(ms);
  }

  statementFailed(error: unknown): void {
    const sqlstate = error instanceof PgError ? error.code.slice(0, 2) : 'XX';
    this.errors.set(sqlstate, (this.errors.get(sqlstate) ?? 0) + 1);
  }

  /** A statement that needed no planning. */
  routed(kind: string, rung: string, ms: number): void {
    this.plans.set(rung, (this.plans.get(rung) ?? 0) + 1);
    this.stages.run.observe(ms);
    this.statementDone(kind, ms);
  }

  planned(rung: string, ms: number): void {
    this.plans.set(rung, (this.plans.get(rung) ?? 0) + 1);
    this.stages.plan.observe(ms);
  }
}

function classOf(kind: string): StatementClass {
  switch (kind) {
    case 'SelectStmt':
      return 'select';
    case 'InsertStmt':
      return 'insert';
    case 'UpdateStmt':
      return 'update';
    case 'DeleteStmt':
      return 'delete';
    case 'CopyStmt':
      return 'copy';
    case 'TransactionStmt':
      return 'transaction';
    default:
      return 'other';
  }
}
