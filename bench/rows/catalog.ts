import type { DataFacts, Row, Script } from './row.ts';

const accountsPerBranch = 100_000;

const draw = (name: string, low: number, high: number) => ({ name, low, high });
const anyAccount = ({ scale }: DataFacts) => draw('aid', 1, accountsPerBranch * scale);
const anyBranch = ({ scale }: DataFacts) => draw('bid', 1, scale);
const anyDelta = draw('delta', -5000, 5000);

const pointSelect = (facts: DataFacts): Script => ({
  draws: [anyAccount(facts)],
  statements: ['SELECT abalance FROM accounts WHERE aid = :aid'],
});

/** So many statements that a session must keep apart. */
const manyStatements =
  (count: number) =>
  (facts: DataFacts): Script => ({
    draws: [anyAccount(facts)],
    statements: Array.from(
      { length: count },
      (_, i) => `SELECT abalance AS balance_${i} FROM accounts WHERE aid = :aid`,
    ),
  });

/** pgbench -N. */
const simpleUpdate = (facts: DataFacts): Script => ({
  draws: [anyAccount(facts), anyBranch(facts), draw('tid', 1, 10 * facts.scale), anyDelta],
  statements: [
    'BEGIN',
    'UPDATE accounts SET abalance = abalance + :delta WHERE aid = :aid',
    'SELECT abalance FROM accounts WHERE aid = :aid',
    'INSERT INTO history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP)',
    'END',
  ],
});

const tpcb = (facts: DataFacts): Script => ({
  draws: [anyBranch(facts), draw('aid', 1, accountsPerBranch), draw('tid', 1, 10), anyDelta],
  statements: [
    'BEGIN',
    'UPDATE bank_account SET abalance = abalance + :delta WHERE bid = :bid AND aid = :aid',
    'SELECT abalance FROM bank_account WHERE bid = :bid AND aid = :aid',
    'UPDATE bank_teller SET tbalance = tbalance + :delta WHERE bid = :bid AND tid = :tid',
    'UPDATE bank_branch SET bbalance = bbalance + :delta WHERE bid = :bid',
    'INSERT INTO bank_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP)',
    'END',
  ],
});

const asFunction = (name: string) => (facts: DataFacts) => ({
  draws: tpcb(facts).draws,
  statements: [`SELECT ${name}(:bid, :aid, :tid, :delta)`],
});

const insert = (): Script => ({
  draws: [draw('id', 1, 2_000_000_000), draw('amount', 1, 1000)],
  statements: [`INSERT INTO event (id, amount, note) VALUES (:id, :amount, 'a note of some length')`],
});

const twoPhase = ({ places: [first, second] }: DataFacts): Script => ({
  draws: [draw('payer', 1, 10_000), draw('payee', 1, 10_000)],
  statements: [
    'BEGIN',
    `UPDATE pair SET balance = balance - 1 WHERE place = ${first} AND id = :payer`,
    `UPDATE pair SET balance = balance + 1 WHERE place = ${second} AND id = :payee`,
    'END',
  ],
});

const scatterSelect = (facts: DataFacts): Script => ({
  draws: [draw('low', 1, accountsPerBranch * facts.scale - 10)],
  statements: ['SELECT count(*), sum(abalance) FROM accounts WHERE aid BETWEEN :low AND :low + 9'],
});

const scatterUpdate = (facts: DataFacts): Script => ({
  draws: [draw('low', 1, accountsPerBranch * facts.scale - 10), anyDelta],
  statements: ['UPDATE accounts SET abalance = abalance + :delta WHERE aid BETWEEN :low AND :low + 9'],
});

const point = { tables: ['accounts'], script: pointSelect } as const;
const connections = { kind: 'traffic', protocol: 'simple', ...point } as const;
const statements = { kind: 'traffic', protocol: 'prepared', tables: ['accounts'] } as const;
const bankFunction = { kind: 'traffic', protocol: 'prepared', tables: ['bank', 'bank functions'] } as const;
const visits = { kind: 'bulk', tables: ['visit'] } as const;

/** Every row, in the order of the table. */
export const rows: readonly Row[] = [
  {
    ...{ kind: 'traffic', name: 'point-select-prepared', protocol: 'prepared', ...point, goal: 0.65, poolerGoal: 0.95 },
    what: 'SELECT of one row by its key, prepared',
  },
  {
    ...{ kind: 'traffic', name: 'point-select-simple', protocol: 'simple', ...point, goal: 0.6, poolerGoal: 0.9 },
    what: 'the same, simple protocol',
  },
  {
    ...{ kind: 'traffic', name: 'point-select-extended', protocol: 'extended', ...point, goal: 0.6, poolerGoal: 0.9 },
    what: 'the same, extended protocol, parsed each time',
  },
  {
    ...{ kind: 'traffic', name: 'simple-update', protocol: 'prepared', tables: ['accounts', 'history'], goal: 0.75 },
    what: 'pgbench -N: UPDATE, SELECT, INSERT of one account in a transaction',
    script: simpleUpdate,
  },
  {
    ...{ kind: 'traffic', name: 'tpcb', protocol: 'prepared', tables: ['bank'], goal: 0.7 },
    what: 'TPC-B, all four tables by bid, bid in every WHERE',
    script: tpcb,
  },
  {
    ...{ ...bankFunction, name: 'function-delegated', script: asFunction('bank_move') },
    what: 'TPC-B as one function, which runs on the node of the branch',
  },
  {
    ...{ ...bankFunction, name: 'function-coordinator', script: asFunction('bank_move_here') },
    what: 'the same, which runs on the coordinator',
  },
  {
    ...{ kind: 'traffic', name: 'insert', protocol: 'prepared', tables: ['event'], goal: 0.65 },
    what: 'INSERT of one row',
    script: insert,
  },
  {
    ...{ kind: 'traffic', name: 'two-phase', protocol: 'prepared', tables: ['pair'], goal: 0.4 },
    what: 'two UPDATEs on two nodes, two-phase commit',
    script: twoPhase,
  },
  {
    ...{ kind: 'traffic', name: 'scatter-select', protocol: 'prepared', tables: ['accounts'], goal: 0.3 },
    what: 'small SELECT over all shards',
    script: scatterSelect,
  },
  {
    ...{ kind: 'traffic', name: 'scatter-update', protocol: 'prepared', tables: ['accounts'], goal: 0.25 },
    what: 'small UPDATE over all shards',
    script: scatterUpdate,
  },
  {
    ...{ ...visits, name: 'copy-in-bare', goal: 0.95 },
    what: 'COPY in, no primary key',
    empties: 'visit_bare',
    work: { copy: 'visit_bare FROM FILE (FORMAT csv)' },
  },
  {
    ...{ ...visits, name: 'copy-in-key', goal: 0.9 },
    what: 'COPY in, with primary key',
    empties: 'visit_key',
    work: { copy: 'visit_key FROM FILE (FORMAT csv)' },
  },
  {
    ...{ ...visits, name: 'copy-out', goal: 0.8 },
    what: 'COPY out of the same',
    work: { copy: 'visit TO /dev/null (FORMAT csv)' },
  },
  {
    ...{ ...visits, name: 'insert-select-colocated', goal: 0.9 },
    what: 'INSERT … SELECT into a co-located table',
    empties: 'visit_bare',
    work: { sql: 'INSERT INTO visit_bare SELECT * FROM visit' },
  },
  {
    ...{ ...visits, name: 'insert-select-redistributed', goal: 0.6 },
    what: 'INSERT … SELECT into a table by another column',
    empties: 'visit_by_person',
    work: { sql: 'INSERT INTO visit_by_person SELECT * FROM visit' },
  },
  { ...connections, name: 'connections-8', clients: 8, what: 'point SELECTs, simple protocol, 8 clients' },
  { ...connections, name: 'connections-32', clients: 32, what: 'the same with 32' },
  { ...connections, name: 'connections-1000', clients: 1000, what: 'the same with 1,000' },
  { ...connections, name: 'connections-5000', clients: 5000, what: 'the same with 5,000' },
  {
    ...{ ...statements, name: 'statements-100', script: manyStatements(100) },
    what: 'point SELECTs, 100 different prepared statements in each session',
  },
  {
    ...{ ...statements, name: 'statements-1000', script: manyStatements(1000) },
    what: 'the same with 1,000',
  },
  {
    ...{ kind: 'latency', name: 'latency', protocol: 'prepared', ...point },
    what: 'one client, point SELECTs, prepared: p50 and p99',
  },
  {
    ...{ kind: 'stages', name: 'stages', protocol: 'prepared', ...point },
    what: "where the router's CPU time goes during point SELECTs",
  },
];

/** By name, or by what names begin with. Throws when there is none. */
export function pickRows(names: readonly string[]): Row[] {
  for (const name of names) {
    if (!rows.some((row) => isPicked(row, name))) throw new Error(`there is no row "${name}"`);
  }
  return names.length === 0 ? [...rows] : rows.filter((row) => names.some((name) => isPicked(row, name)));
}

function isPicked(row: Row, name: string): boolean {
  if (rows.some((each) => each.name === name)) return row.name === name;
  return row.name.startsWith(`${name}-`);
}
