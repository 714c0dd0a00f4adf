import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { judge } from '../../src/cli/doctor/checks.ts';
import type { Examination, ServerFacts } from '../../src/cli/doctor/server-facts.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { pgherd } from '../harness/pgherd-command.ts';

let herd: TestHerd;
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2, settings: { fsync: 'on', full_page_writes: 'on' } });
  client = await connect(herd.url);
  await client.query('CREATE TABLE users (id bigint PRIMARY KEY, email text UNIQUE, age int CHECK (age > 0))');
  await client.query("SELECT create_distributed_table('users', 'id')");
  await client.query('CREATE TABLE countries (code char(2) PRIMARY KEY)');
  await client.query("SELECT create_reference_table('countries')");
  await client.query('CREATE INDEX ON users (age)');
});

afterAll(async () => {
  await client.end();
  await herd.stop();
});

async function connect(connectionString: string): Promise<pg.Client> {
  const made = new pg.Client({ connectionString });
  await made.connect();
  return made;
}

interface Report {
  readonly state: string;
  readonly errors: number;
  readonly findings: readonly {
    readonly check: string;
    readonly state: string;
    readonly message: string;
    readonly advice: string;
  }[];
}

async function doctor(): Promise<{ code: number | null; report: Report }> {
  const { code, stdout } = await pgherd(['doctor', '--json', '--url', herd.url]);
  return { code, report: JSON.parse(stdout) };
}
const about = ({ findings }: Report, check: string) =>
  findings.filter((finding) => finding.check === check).map(({ message }) => message);

test('a herd that is well has no findings but what its servers lack', async () => {
  const { code, report } = await doctor();
  expect(report.findings.filter(({ message }) => !/pg_stat_statements|psql/.test(message))).toEqual([]);
  expect(code).toBe(0);
});

test('what was changed past the router is found, with its place and what to do', async () => {
  const { host, port } = herd.nodes[1]!;
  const node = await connect(`postgresql://postgres@${host}:${port}/postgres`);
  await node.query('ALTER TABLE users ADD COLUMN sneaked_in text');
  await node.query('CREATE ROLE here_only');
  await node.query("ALTER SYSTEM SET TimeZone = 'Asia/Shanghai'");
  await node.query('ALTER SYSTEM SET autovacuum = off');
  await node.query('ALTER SYSTEM SET fsync = off');
  await node.query('SELECT pg_reload_conf()');
  await node.query("BEGIN; CREATE TABLE held (); PREPARE TRANSACTION 'of somebody'");
  await expect
    .poll(async () => about((await doctor()).report, 'settings'), { timeout: 20_000 })
    .toEqual(
      expect.arrayContaining([
        'fsync of worker2 is off: a crash can destroy its data',
        'autovacuum of worker2 is off',
        expect.stringMatching(/^TimeZone is Asia\/Shanghai on worker2/),
      ]),
    );
  const { code, report } = await doctor();
  expect(code).toBe(3);
  expect(about(report, 'schema')).toEqual([
    "the columns of public.users on worker2 are not the coordinator's: + sneaked_in text",
  ]);
  expect(about(report, 'roles')).toEqual(['role here_only is not on coordinator, worker1']);
  expect(report.findings.every(({ advice }) => advice.length > 20)).toBe(true);
  await node.query("ROLLBACK PREPARED 'of somebody'");
  await node.end();
});

test('a server that does not answer is an error, and the others are looked at all the same', async () => {
  await herd.byName.get('worker1')!.crash();
  const { code, report } = await doctor();
  expect([code, report.state]).toEqual([3, 'error']);
  expect(about(report, 'connectivity')).toEqual([expect.stringMatching(/^worker1 does not answer: /)]);
  expect(about(report, 'roles').length).toBe(1);
  await herd.byName.get('worker1')!.restart();
});

test('for people it is a line for each check, without colours where there is no terminal', async () => {
  const { stdout } = await pgherd(['doctor', '--url', herd.url]);
  expect(stdout).toMatch(/^ok {7}machine$/m);
  expect(stdout).toMatch(/^error {4}schema: the columns of public\.users/m);
  expect(stdout).not.toContain('\x1b[');
  expect((await pgherd(['doctor', '--url', herd.url], { FORCE_COLOR: '1' })).stdout).toContain('\x1b[31merror');
});

const settings = {
  ...{
    max_prepared_transactions: '200',
    max_connections: '200',
    max_locks_per_transaction: '256',
    fsync: 'on',
    full_page_writes: 'on',
    autovacuum: 'on',
  },
  ...{ shared_preload_libraries: 'pg_stat_statements', lc_messages: 'C', TimeZone: 'UTC' },
};
const well: ServerFacts = {
  ...{
    version: 180_004,
    encoding: 'UTF8',
    order: 'bytewise',
    staleCollation: false,
    settings,
    nowMs: 1_000_000,
    tables: {},
  },
  ...{ roles: ['postgres'], extensions: {}, oldPrepared: 0, invalidIndexes: [] },
};
const clock = { localMs: 1_000_000, uncertaintyMs: 20 };
const herdOf = (...nodes: readonly Partial<ServerFacts>[]): Examination => ({
  isHerd: true,
  servers: [
    { name: 'coordinator', isCoordinator: true, facts: well, ...clock },
    ...nodes.map((facts, i) => ({
      name: `worker${i + 1}`,
      isCoordinator: false,
      facts: { ...well, ...facts },
      ...clock,
    })),
  ],
});
const asHere = (localMs: number, { servers, isHerd }: Examination) => ({
  isHerd,
  servers: servers.map((server) => ({ ...server, localMs })),
});
const messages = (examination: Examination) => judge(examination).map(({ state, message }) => `${state}: ${message}`);

test('clocks, versions, encodings, collations and limits are judged by what they do', () => {
  expect(messages(herdOf({}, {}))).toEqual([]);
  expect(messages(herdOf({ nowMs: 1_000_500 }, {}))).toEqual([]);
  expect(messages(herdOf({ nowMs: 1_003_000 }, {}))).toEqual([
    expect.stringContaining("warning: the servers' clocks differ by 3.0 s"),
  ]);
  expect(messages(asHere(900_000, herdOf({}, {})))).toEqual([
    "warning: this machine's clock and the servers' differ by 100.0 s",
  ]);
  expect(messages(herdOf({ version: 170_002 }, { version: 140_011 }))).toEqual([
    'error: worker2 runs PostgreSQL 14',
    expect.stringContaining('PostgreSQL 17'),
    expect.stringContaining('PostgreSQL 14'),
  ]);
  expect(messages(herdOf({ encoding: 'LATIN1' }, { order: 'libc de_DE.UTF-8 2.36', staleCollation: true }))).toEqual([
    'error: the encoding is LATIN1 on worker1, and something else on the others',
    'error: the default collation is libc de_DE.UTF-8 2.36 on worker2, and something else on the others',
    'warning: the version of the default collation of worker2 has changed',
  ]);
  expect(
    messages(
      herdOf(
        { settings: { ...settings, max_prepared_transactions: '0' } },
        { settings: { ...settings, max_prepared_transactions: '10' } },
      ),
    ),
  ).toEqual([
    'error: max_prepared_transactions of worker1 is 0: no transaction over several nodes can commit',
    'warning: max_prepared_transactions of worker2 is 10: so few transactions can commit at once',
  ]);
});
