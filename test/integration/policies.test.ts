import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHerd, type TestHerd } from '../harness/herd.ts';

/** Row security whose policies read other tables. What one node alone can't answer is refused. */

let herd: TestHerd;
let root: pg.Client;
let app: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  root = await login('postgres');
  await root.query('CREATE ROLE app LOGIN');
  app = await login('app');
  await root.query(setUp);
  for (const call of distribute) await root.query(call);
  await root.query(rows);
});
afterAll(async () => {
  await app?.end();
  await root?.end();
  await herd?.stop();
});

async function login(user: string): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port: herd.port, user, database: 'postgres' });
  await client.connect();
  return client;
}

async function outcome(client: pg.Client, sql: string): Promise<string> {
  try {
    const result = await client.query({ text: sql, rowMode: 'array' });
    return result.rows.map((row) => row.join('|')).join(', ');
  } catch (error) {
    return `${(error as pg.DatabaseError).code} ${(error as Error).message}`;
  }
}

const setUp = `
CREATE TABLE documents (tenant int, id int, owner name, note varchar(20));
CREATE TABLE members (tenant int, name name, team int);
CREATE TABLE elsewhere (id int, tenant int);
CREATE TABLE named (tenant varchar(20), note text);
CREATE TABLE named_members (tenant varchar(20), name name);
CREATE TABLE teams (team int PRIMARY KEY, open boolean);
CREATE TABLE only_here (tenant int);
CREATE VIEW seen AS SELECT tenant FROM members;
CREATE FUNCTION is_member(t int) RETURNS boolean LANGUAGE sql STABLE AS
  'SELECT EXISTS (SELECT FROM members m WHERE m.tenant = t AND m.name = current_user)';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO app;
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE named ENABLE ROW LEVEL SECURITY;`;
const distribute = [
  "SELECT create_distributed_table('documents', 'tenant')",
  "SELECT create_distributed_table('members', 'tenant')",
  "SELECT create_distributed_table('elsewhere', 'id', colocate_with := 'none')",
  "SELECT create_distributed_table('named', 'tenant')",
  "SELECT create_distributed_table('named_members', 'tenant')",
  "SELECT create_reference_table('teams')",
];
const rows = `
INSERT INTO documents SELECT i, i, 'x', 'n' FROM generate_series(1, 40) i;
INSERT INTO members SELECT i, CASE WHEN i % 4 = 0 THEN 'app' ELSE 'other' END, i % 3 FROM generate_series(1, 40) i;
INSERT INTO teams VALUES (0, true), (1, false), (2, false);
INSERT INTO named SELECT 't' || i, 'n' FROM generate_series(1, 40) i;
INSERT INTO named_members SELECT 't' || i, 'app' FROM generate_series(1, 10) i`;

const member = 'm.name = current_user AND m.team IN (SELECT team FROM teams)';

test.each([
  ['an uncorrelated subquery', 'EXISTS (SELECT FROM members m WHERE m.name = current_user)'],
  ['another column', 'EXISTS (SELECT FROM members m WHERE m.team = documents.tenant)'],
  ['an aggregate over all', 'tenant <= (SELECT max(m.tenant) FROM members m)'],
  ['no co-location', 'EXISTS (SELECT FROM elsewhere e WHERE e.id = documents.tenant)'],
  ['a local table', 'tenant IN (SELECT tenant FROM only_here)'],
  ['a view', 'EXISTS (SELECT FROM seen s WHERE s.tenant = documents.tenant)'],
  ['a negated membership', 'NOT (tenant IN (SELECT m.tenant FROM members m))'],
  ['a limited membership', 'tenant IN (SELECT m.tenant FROM members m LIMIT 1)'],
  ['equality beneath an OR', 'EXISTS (SELECT FROM members m WHERE m.tenant = documents.tenant OR m.team = 1)'],
  [
    'equality in a subquery beneath',
    'EXISTS (SELECT FROM members m WHERE NOT EXISTS (SELECT FROM members n WHERE n.tenant = m.tenant AND m.tenant = documents.tenant))',
  ],
  [
    'one of two tables bound',
    'EXISTS (SELECT FROM members m, members n WHERE m.tenant = documents.tenant AND n.team = m.team)',
  ],
  [
    'an outer join',
    'EXISTS (SELECT FROM teams t LEFT JOIN members m ON m.tenant = documents.tenant WHERE m.name IS NULL)',
  ],
  ['ONLY', 'EXISTS (SELECT FROM ONLY members m WHERE m.tenant = documents.tenant)'],
  ['a system catalog', 'EXISTS (SELECT FROM pg_class c WHERE c.relname = documents.owner)'],
])('a policy with %s is refused', async (_, expression) => {
  expect(await outcome(root, `CREATE POLICY p ON documents USING (${expression})`)).toMatch(/^0A000 policy "p".*PH050/);
  expect(await outcome(root, `CREATE POLICY p ON documents FOR INSERT WITH CHECK (${expression})`)).toMatch(/PH050/);
  expect(await outcome(root, "SELECT count(*) FROM pg_policy WHERE polname = 'p'")).toBe('0');
});

test.each([
  ['equality', `EXISTS (SELECT FROM members m WHERE m.tenant = documents.tenant AND ${member})`],
  [
    'equality of an inner join',
    `EXISTS (SELECT FROM members m JOIN members n ON n.tenant = m.tenant WHERE ${member} AND documents.tenant = n.tenant)`,
  ],
  ['membership', `tenant IN (SELECT m.tenant FROM members m WHERE ${member})`],
])('a policy that reads a co-located table by %s holds on every node', async (_, expression) => {
  await root.query(`CREATE POLICY p ON documents USING (${expression})`);
  expect(await outcome(app, 'SELECT count(*), sum(tenant) FROM documents')).toBe('10|220');
  expect(await outcome(app, 'SELECT count(*) FROM documents WHERE tenant = 4')).toBe('1');
  expect(await outcome(app, 'SELECT count(*) FROM documents WHERE tenant = 5')).toBe('0');
  expect(await outcome(root, 'ALTER POLICY p ON documents USING (EXISTS (SELECT FROM members m))')).toMatch(/PH050/);
  expect(await outcome(app, 'SELECT count(*) FROM documents')).toBe('10');
  await root.query('DROP POLICY p ON documents');
});

test('keys of type varchar are compared as text', async () => {
  await root.query(
    'CREATE POLICY p ON named USING (EXISTS (SELECT FROM named_members m WHERE m.tenant = named.tenant))',
  );
  expect(await outcome(app, 'SELECT count(*) FROM named')).toBe('10');
  await root.query('DROP POLICY p ON named');
});

test('a table that policies elsewhere read is not taken back', async () => {
  await root.query(
    'CREATE POLICY p ON documents USING (EXISTS (SELECT FROM members m WHERE m.tenant = documents.tenant))',
  );
  expect(await outcome(root, "SELECT undistribute_table('members')")).toMatch(/^0A000 policy "p".*PH050/);
  await root.query('DROP POLICY p ON documents');
});

test('a dropped table takes the policies that read it along, on the nodes too', async () => {
  await root.query("CREATE TABLE fleeting (tenant int); SELECT create_distributed_table('fleeting', 'tenant')");
  await root.query('GRANT SELECT ON fleeting TO app');
  await root.query('CREATE POLICY all_rows ON documents USING (true)');
  await root.query(
    'CREATE POLICY p ON documents AS RESTRICTIVE USING (EXISTS (SELECT FROM fleeting f WHERE f.tenant = documents.tenant))',
  );
  expect(await outcome(app, 'SELECT count(*) FROM documents')).toBe('0');
  await root.query('DROP TABLE fleeting CASCADE');
  expect(await outcome(app, 'SELECT count(*) FROM documents')).toBe('40');
  await root.query('DROP POLICY all_rows ON documents');
});

test('policies are judged when a table is distributed, or made a reference table', async () => {
  await root.query('CREATE TABLE late (tenant int, x int); ALTER TABLE late ENABLE ROW LEVEL SECURITY');
  await root.query('CREATE POLICY p ON late USING (EXISTS (SELECT FROM members m WHERE m.tenant = late.tenant))');
  expect(await outcome(root, "SELECT create_distributed_table('late', 'x')")).toMatch(/PH050/);
  expect(await outcome(root, "SELECT create_reference_table('late')")).toMatch(/PH050/);
  expect(await outcome(root, "SELECT create_distributed_table('late', 'tenant')")).toBe('');
  expect(await outcome(root, "SELECT alter_distributed_table('late', distribution_column := 'x')")).toMatch(/PH050/);
  await root.query('DROP TABLE late');
});

test("a policy's function that reads a distributed table raises", async () => {
  await root.query('CREATE POLICY p ON documents USING (is_member(tenant))');
  expect(await outcome(app, 'SELECT count(*) FROM documents')).toMatch(/^0A000 .*PH001/);
  expect(await outcome(app, 'SELECT count(*) FROM documents WHERE tenant = 4')).toMatch(/^0A000 .*PH001/);
  await root.query('DROP POLICY p ON documents');
});
