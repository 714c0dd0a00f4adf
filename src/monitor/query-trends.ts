/** What a router has measured of one statement since its start: text without literals. */
export interface MeasuredStatement {
  readonly id: string;
  readonly query: string;
  readonly rung: string;
  readonly calls: number;
  readonly totalMs: number;
  readonly maxMs: number;
}

export interface TrendPoint {
  readonly atMs: number;
  readonly calls: number;
  /** Of these calls; null: there was none. */
  readonly meanMs: number | null;
}

export interface StatementTrend extends MeasuredStatement {
  readonly meanMs: number;
  /** The oldest first. */
  readonly trend: readonly TrendPoint[];
}

const maxPoints = 60;

/** How statements have fared lately: the calls and the mean between one reading and the next, for those that have cost most. */
export class QueryTrends {
  readonly #maxStatements: number;
  #known = new Map<string, StatementTrend>();

  constructor(maxStatements: number) {
    this.#maxStatements = maxStatements;
  }

  note(statements: readonly MeasuredStatement[], atMs: number): void {
    const most = [...statements].sort((a, b) => b.totalMs - a.totalMs).slice(0, this.#maxStatements);
    this.#known = new Map(most.map((statement) => [keyOf(statement), this.#next(statement, atMs)]));
  }

  /** What has cost most first. */
  get statements(): readonly StatementTrend[] {
    return [...this.#known.values()];
  }

  #next(statement: MeasuredStatement, atMs: number): StatementTrend {
    const before = this.#known.get(keyOf(statement));
    const isOn = before !== undefined && before.calls <= statement.calls;
    const calls = statement.calls - (isOn ? before.calls : 0);
    const totalMs = statement.totalMs - (isOn ? before.totalMs : 0);
    const point = { atMs, calls, meanMs: calls === 0 ? null : totalMs / calls };
    const trend = [...(isOn ? before.trend : []), point].slice(-maxPoints);
    return { ...statement, meanMs: statement.totalMs / Math.max(statement.calls, 1), trend };
  }
}

function keyOf({ id, rung }: MeasuredStatement): string {
  return `${id}/${rung}`;
}
