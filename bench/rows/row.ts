/** What the rows of the benchmark are, as values: `catalog.ts` lists them. */
export type Row = TrafficRow | LatencyRow | BulkRow | StagesRow;

interface RowBase {
  /** On the command line; `point-select` picks `point-select-simple` too. */
  readonly name: string;
  readonly what: string;
  readonly tables: readonly TableName[];
  /** Least share of plain PostgreSQL's speed, and of the pooler's. */
  readonly goal?: number;
  readonly poolerGoal?: number;
}

/** Ways to the data: the plain server itself, the pooler before it, the router before the herd. */
export const sideNames = ['plain', 'pooler', 'herd'] as const;
export type SideName = (typeof sideNames)[number];

export type Protocol = 'simple' | 'extended' | 'prepared';

/** `bank functions`: over the tables of `bank`, which stand before it. */
export type TableName = 'accounts' | 'history' | 'bank' | 'bank functions' | 'event' | 'pair' | 'visit';

/** Many clients repeat one small script for a while. */
export interface TrafficRow extends RowBase {
  readonly kind: 'traffic';
  readonly protocol: Protocol;
  readonly script: ScriptOf;
  /** Instead of what the command line says. */
  readonly clients?: number;
}

/** One client alone: how long one statement takes on each side. */
export interface LatencyRow extends RowBase {
  readonly kind: 'latency';
  readonly protocol: Protocol;
  readonly script: ScriptOf;
}

/** One large statement: seconds on each side. */
export interface BulkRow extends RowBase {
  readonly kind: 'bulk';
  /** Emptied before each run. */
  readonly empties?: string;
  /** SQL, or for psql's \copy the words after it; `FILE` stands for the file with the rows. */
  readonly work: { readonly sql: string } | { readonly copy: string };
}

/** Where the router's time goes, by room, while the script runs. */
export interface StagesRow extends RowBase {
  readonly kind: 'stages';
  readonly protocol: Protocol;
  readonly script: ScriptOf;
}

/** What a script may know about the data. */
export interface DataFacts {
  readonly scale: number;
  /** Values of `pair.place`, whose rows are on two nodes. */
  readonly places: readonly [number, number];
}

type ScriptOf = (facts: DataFacts) => Script;

export interface Script {
  /** Drawn anew each time, evenly from `low` to `high`. */
  readonly draws: readonly { readonly name: string; readonly low: number; readonly high: number }[];
  /** `:name` stands for what was drawn. */
  readonly statements: readonly string[];
}
