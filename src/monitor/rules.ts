export const severities = ['critical', 'warning', 'info'] as const;
export type Severity = (typeof severities)[number];

/** When there is cause for an alert, and how bad that is. Units last in the names; shares from 0 to 1. */
export const defaultRules = {
  clusterUnreachable: { severity: 'critical' },
  nodeDown: { severity: 'critical' },
  /** So many changes between up and down within the window. */
  nodeFlapping: { severity: 'warning', changes: 4, windowMs: 600_000 },
  /** So far behind in bytes, or, while anything is missing, in time. */
  replayLag: { severity: 'warning', bytes: 1_000_000, ms: 60_000 },
  slowQueries: { severity: 'warning', meanMs: 1_000 },
  transactionInDoubt: { severity: 'critical', ageMs: 60_000 },
  longTransaction: { severity: 'warning', ageMs: 300_000 },
  lockWait: { severity: 'warning', ageMs: 30_000 },
  /** Sessions that wait for a connection. */
  poolExhausted: { severity: 'critical', waiting: 1 },
  connections: { severity: 'warning', share: 0.8 },
  /** The fullest node against the average; smaller clusters have no balance to speak of. */
  shardImbalance: { severity: 'warning', ratio: 1.5, minBytes: 67_108_864 },
  diskFull: { severity: 'critical', freeShare: 0.1 },
  /** Rows that have changed since ANALYZE, against all rows. */
  staleStatistics: { severity: 'info', changedShare: 0.5, minRows: 10_000 },
  wraparound: { severity: 'critical', xidAge: 1_000_000_000 },
} as const satisfies Record<string, { readonly severity: Severity } & Readonly<Record<string, number | string>>>;

export type AlertKind = keyof typeof defaultRules;

export const alertKinds = Object.keys(defaultRules) as AlertKind[];

type Rule<K extends AlertKind> = {
  readonly [P in keyof (typeof defaultRules)[K]]: P extends 'severity' ? Severity | 'off' : number;
};

export type Rules = { readonly [K in AlertKind]: Rule<K> };
