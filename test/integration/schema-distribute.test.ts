import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDistributedTable, type DistributeArguments } from '../../src/schema/distribute.ts';
import { createReferenceTable } from '../../src/schema/reference.ts';
import { failure, startTestHerd, type TestHerd } from './schema-herd.ts';

const defaults = { method: 'hash', colocateWith: 'default', shardCount: 4, shardBounds: null } as const;

describe.each([15, 18] as const)('PostgreSQL %i', (version) => {
  let herd: TestHerd;

  beforeAll(async () => {
    herd = await startTestHerd({ version });
  });
  afterAll(() => herd?.stop());

  const distribute = (table: string, column: string, args: Partial<DistributeArguments> = {}) =>
    herd.transaction((tx) => createDistributedTable(tx, { ...defaults, table, column, ...args }));
  const reference = (table: string) => herd.transaction((tx) => createReferenceTable(tx, table));
  const local = (sql: string) => herd.coordinator.query(sql);
  const onNodes = async (sql: string) => (await Promise.all(herd.nodes.map((node) => node.rows(sql)))).flat();
  const total = async (sql: string) => (await onNodes(sql)).reduce((sum, value) => sum + Number(value), 0);

  test('the example of the source document: serial key, and UNIQUE without the distribution column', async () => {
    await local(`CREATE TABLE distributed_users (user_id SERIAL PRIMARY KEY, username VARCHAR(50) NOT NULL,
      email VARCHAR(100) UNIQUE NOT NULL, created_at TIMESTAMP DEFAULT now());
      INSERT INTO distributed_users (username, email) SELECT 'u' || i, i || '@x' FROM generate_series(1, 100) i`);
    await distribute('distributed_users', 'user_id', { shardCount: null });
    expect(await total('SELECT count(*) FROM distributed_users')).toBe(100);
    const table = (await herd.snapshot()).relations.get('public')!.get('distributed_users')!.distributed!;
    expect(table.distribution).toMatchObject({
      kind: 'distributed',
      globalIndexes: [{ name: 'distributed_users_email_key', columns: ['email'], hiddenSchema: 'pgherd_gui_public' }],
    });
    if (table.distribution.kind !== 'distributed') throw new Error('not distributed');
    expect(table.distribution.group.shards).toHaveLength(32);
    const [index] = table.distribution.globalIndexes;
    const hidden = `${index!.hiddenSchema}.${index!.hiddenName}`;
    expect(await total(`SELECT count(*) FROM ${hidden}`)).toBe(100);
    const columns = await herd.nodes[0]!.rows(
      `SELECT attname FROM pg_attribute WHERE attrelid = '${hidden}'::regclass AND attnum > 0`,
    );
    expect(columns).toEqual(['email', 'user_id']);
    const duplicates = await Promise.all(
      herd.nodes.map((node) => failure(node.query(`INSERT INTO ${hidden} VALUES ('7@x', 1)`))),
    );
    expect(duplicates.sort()).toEqual([
      expect.stringMatching(/^23505 .* "distributed_users_email_key"$/),
      expect.stringMatching(/^23514 no partition of relation/),
    ]);
    expect(await failure(local('SELECT * FROM distributed_users'))).toMatch(/PH001/);
    expect(await herd.coordinator.rows('SELECT max(user_id) FROM distributed_users').catch(() => ['guarded'])).toEqual([
      'guarded',
    ]);
  });

  test('the same arguments again are a notice, others an error', async () => {
    herd.notices.length = 0;
    await distribute('distributed_users', 'user_id', { shardCount: 32 });
    expect(herd.notices.map((notice) => notice.message)).toEqual([
      'table "distributed_users" is already distributed this way, nothing to do',
    ]);
    expect(await failure(distribute('distributed_users', 'user_id', { shardCount: 16 }))).toMatch(/^42P16/);
    expect(await failure(distribute('distributed_users', 'email', { shardCount: null }))).toMatch(/^42P16/);
  });

  test('everything that hangs on a table is kept', async () => {
    for (const server of [herd.coordinator, ...herd.nodes]) await server.query(objects);
    await local(everything);
    await reference('countries');
    await distribute('app.customers', 'id');
    await distribute('app."Orders"', 'customer');
    expect(await total('SELECT count(*) FROM app."Orders"')).toBe(50);
    // Serial and identity columns have no default on nodes; other defaults do.
    expect(
      await herd.nodes[0]!.rows(`SELECT a.attname, pg_get_expr(adbin, adrelid), attnotnull FROM pg_attribute a
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = 'app."Orders"'::regclass AND attnum > 0 ORDER BY attnum`),
    ).toEqual([
      'id|∅|t',
      'customer|∅|t',
      'country|∅|f',
      "state|'new'::app.state|f",
      'amount|∅|f',
      'double|(amount * (2)::numeric)|f',
      'note|∅|f',
    ]);
    // Names of a leaf's indexes and constraints are the shell's.
    const shellIndexes = await herd.coordinator.rows(
      `SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 'app."Orders"'::regclass ORDER BY 1`,
    );
    const leaf = (
      await onNodes(`SELECT c.oid::regclass FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
      WHERE inhparent = 'app."Orders"'::regclass ORDER BY 1`)
    ).find((name) => name.startsWith('pgherd_s00'))!;
    expect(leaf).toBe('pgherd_s00_app."Orders"');
    const [holder] = herd.nodes;
    expect(
      await holder!.rows(
        `SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = '${leaf}'::regclass ORDER BY 1`,
      ),
    ).toEqual(shellIndexes);
    expect(
      await holder!.rows(
        `SELECT conname, contype, convalidated FROM pg_constraint WHERE conrelid = '${leaf}'::regclass AND contype <> 'n' ORDER BY 1`,
      ),
    ).toEqual(['Orders_country_fkey|f|t', 'Orders_customer_fkey|f|t', 'positive|c|t', 'unique_pair|u|t']);
    expect(
      await holder!.rows(
        `SELECT reloptions, relrowsecurity, relreplident FROM pg_class WHERE oid = '${leaf}'::regclass`,
      ),
    ).toEqual(['{fillfactor=70}|t|f']);
    expect(await holder!.rows(`SELECT policyname FROM pg_policies WHERE schemaname = 'pgherd_s00_app'`)).toEqual([
      'mine',
    ]);
    expect(await holder!.rows(`SELECT count(*) FROM pg_statistic_ext WHERE stxrelid = '${leaf}'::regclass`)).toEqual([
      '1',
    ]);
    expect(
      await holder!.rows(`SELECT tgname FROM pg_trigger WHERE tgrelid = '${leaf}'::regclass AND tgname = 'stamp'`),
    ).toEqual(['stamp']);
    expect(await holder!.rows(`SELECT tableowner FROM pg_tables WHERE tablename = 'Orders' GROUP BY 1`)).toEqual([
      'boss',
    ]);
    expect(
      await holder!.rows(`SELECT has_table_privilege('clerk', '${leaf}', 'SELECT'), has_table_privilege('clerk', '${leaf}', 'DELETE'),
        has_schema_privilege('clerk', 'pgherd_s00_app', 'USAGE'), has_column_privilege('visitor', '${leaf}', 'note', 'SELECT'),
        has_schema_privilege('visitor', 'pgherd_s00_app', 'USAGE')`),
    ).toEqual(['t|f|t|t|f']);
    // The view and the shell's own objects are untouched.
    expect(
      await herd.coordinator.rows(
        `SELECT pg_get_serial_sequence('app."Orders"', 'id'), obj_description('app."Orders"'::regclass)`,
      ),
    ).toEqual(['app."Orders_id_seq"|all orders']);
    expect(await failure(local('SELECT * FROM app.order_sums'))).toMatch(/PH001/);
    expect(
      await herd.coordinator.rows(
        `SELECT conname FROM pg_constraint WHERE conrelid = 'app."Orders"'::regclass AND NOT convalidated`,
      ),
    ).toEqual([]);
  });

  test('the nodes keep foreign keys and their actions, and errors name what the user knows', async () => {
    const [customer] = await herd.nodes[0]!.rows('SELECT min(id) FROM app.customers');
    expect(
      await failure(
        herd.nodes[0]!.query(`INSERT INTO app."Orders" (id, customer, country) VALUES (999, ${customer}, 'XX')`),
      ),
    ).toMatch(/^23503 .*"Orders" violates foreign key constraint "Orders_country_fkey"/);
    expect(
      await failure(
        herd.nodes[0]!.query(`INSERT INTO app."Orders" (id, customer, amount) VALUES (999, ${customer}, -1)`),
      ),
    ).toMatch(/^23514 .*"Orders" violates check constraint "positive"/);
    await herd.nodes[0]!.query(`DELETE FROM app.customers WHERE id = ${customer}`);
    expect(await herd.nodes[0]!.rows(`SELECT count(*) FROM app."Orders" WHERE customer = ${customer}`)).toEqual(['0']);
  });

  test('a reference table is on every node; its guard stands against functions', async () => {
    expect(await onNodes("SELECT string_agg(code, ',' ORDER BY code) FROM countries")).toEqual(['DE,IT', 'DE,IT']);
    expect(await failure(herd.nodes[1]!.query('DO $$BEGIN DELETE FROM countries; END$$'))).toMatch(/PH030/);
    await reference('countries');
  });

  test('tables of the same key family and shard count are co-located; none and another count are not', async () => {
    await local(
      'CREATE TABLE g1 (k bigint); CREATE TABLE g2 (k smallint); CREATE TABLE g3 (k integer); CREATE TABLE g4 (k integer); CREATE TABLE g5 (k text)',
    );
    await distribute('g3', 'k', { colocateWith: 'none' });
    for (const table of ['g1', 'g2', 'g4']) await distribute(table, 'k');
    await distribute('g5', 'k');
    const { relations } = await herd.snapshot();
    const group = (name: string) => {
      const { distribution } = relations.get('public')!.get(name)!.distributed!;
      return distribution.kind === 'distributed' ? distribution.group.id : 0;
    };
    expect(group('g2')).toBe(group('g1'));
    expect(group('g4')).toBe(group('g1'));
    expect(new Set([group('g1'), group('g3'), group('g5')]).size).toBe(3);
    expect(await failure(distribute('g1', 'k', { colocateWith: 'g3' }))).toMatch(/^42P16/);
  });

  test('range and list: bounds, DEFAULT, values on their shards', async () => {
    await local(`CREATE TABLE measures (day date, v integer); INSERT INTO measures SELECT date '2023-12-30' + i, i FROM generate_series(0, 9) i;
      INSERT INTO measures VALUES (NULL, 0);
      CREATE TABLE regions (region text, v integer); INSERT INTO regions VALUES ('de', 1), ('fr', 2), (NULL, 3), ('it', 4)`);
    await distribute('measures', 'day', {
      method: 'range',
      shardCount: null,
      shardBounds: "FROM (MINVALUE) TO ('2024-01-01'); FROM ('2024-01-01') TO (date '2024-01-01' + 4); DEFAULT",
    });
    await distribute('regions', 'region', {
      method: 'list',
      shardCount: null,
      shardBounds: "IN ('de', NULL); IN ('fr'); DEFAULT",
    });
    expect((await onNodes('SELECT tableoid::regclass, count(*) FROM measures GROUP BY 1 ORDER BY 1')).sort()).toEqual([
      'pgherd_s00_public.measures|2',
      'pgherd_s01_public.measures|4',
      'pgherd_s02_public.measures|5',
    ]);
    expect((await onNodes('SELECT tableoid::regclass, count(*) FROM regions GROUP BY 1 ORDER BY 1')).sort()).toEqual([
      'pgherd_s00_public.regions|2',
      'pgherd_s01_public.regions|1',
      'pgherd_s02_public.regions|1',
    ]);
    // The DEFAULT leaf, on node 1, refuses what belongs to the shard on node 2.
    expect(await failure(herd.nodes[0]!.query("INSERT INTO regions VALUES ('fr', 9)"))).toMatch(
      /^23514 .*pgherd_default/,
    );
    expect(await failure(distribute('g1', 'k', { method: 'range', shardCount: null, shardBounds: 'IN (1)' }))).toMatch(
      /^42P16|PH037/,
    );
  });

  test.each([
    ['an enum as HASH key', "CREATE TYPE mood AS ENUM ('a'); CREATE TABLE bad (k mood)", 'k', {}, /PH003/],
    ['an array of enums', 'CREATE TABLE bad (k mood[])', 'k', {}, /PH003/],
    ['reg* as HASH key', 'CREATE TABLE bad (k regclass)', 'k', {}, /PH003/],
    ['a type without hash', 'CREATE TABLE bad (k point)', 'k', {}, /PH003/],
    ['a column that is not there', 'CREATE TABLE bad (k integer)', 'nope', {}, /^42703/],
    ['a partitioned table', 'CREATE TABLE bad (k integer) PARTITION BY HASH (k)', 'k', {}, /PH031/],
    ['a parent', 'CREATE TABLE bad (k integer); CREATE TABLE child () INHERITS (bad)', 'k', {}, /PH031/],
    ['a view', 'CREATE VIEW bad AS SELECT 1 AS k', 'k', {}, /^42809/],
    ['a temporary table', 'CREATE TEMP TABLE bad (k integer)', 'k', {}, /PH031/],
    ['a rule', 'CREATE TABLE bad (k integer); CREATE RULE r AS ON INSERT TO bad DO INSTEAD NOTHING', 'k', {}, /PH034/],
    [
      'a trigger with transition tables',
      'CREATE TABLE bad (k integer); CREATE TRIGGER t AFTER INSERT ON bad REFERENCING NEW TABLE AS n EXECUTE FUNCTION nothing()',
      'k',
      {},
      /PH033/,
    ],
    ['NO INHERIT', 'CREATE TABLE bad (k integer CHECK (k > 0) NO INHERIT)', 'k', {}, /PH034/],
    ['an unique enum', 'CREATE TABLE bad (k integer, t mood UNIQUE)', 'k', {}, /PH032/],
    [
      'exclusion without the key',
      'CREATE TABLE bad (k integer, r int4range, EXCLUDE USING gist (r WITH &&))',
      'k',
      {},
      /PH034/,
    ],
    [
      'overlapping ranges',
      'CREATE TABLE bad (k integer)',
      'k',
      { method: 'range', shardCount: null, shardBounds: 'FROM (1) TO (5); FROM (4) TO (9)' },
      /^42P17/,
    ],
    [
      'a value twice',
      'CREATE TABLE bad (k numeric)',
      'k',
      { method: 'list', shardCount: null, shardBounds: 'IN (1); IN (1.0)' },
      /^42P17/,
    ],
    [
      'an empty range',
      'CREATE TABLE bad (k integer)',
      'k',
      { method: 'range', shardCount: null, shardBounds: 'FROM (5) TO (5)' },
      /^42P17/,
    ],
    [
      'text by RANGE in a locale',
      'CREATE TABLE bad (k text COLLATE "und-x-icu")',
      'k',
      { method: 'range', shardCount: null, shardBounds: "FROM ('a') TO ('b')" },
      /PH003/,
    ],
  ] as const)('%s is refused and nothing is left', async (_, create, column, args, error) => {
    await local("CREATE OR REPLACE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'");
    await local(create);
    const refusal = await failure(distribute('bad', column, args));
    await local(
      `DROP ${create.includes('CREATE VIEW bad') ? 'VIEW' : 'TABLE'} bad CASCADE; DROP TABLE IF EXISTS parent, child`,
    );
    expect(refusal).toMatch(error);
    expect(await onNodes("SELECT relname FROM pg_class WHERE relname ~ '^bad'")).toEqual([]);
  });

  test('rows that a shard refuses leave everything as it was', async () => {
    await local(
      'CREATE TABLE late (k integer PRIMARY KEY, up integer); INSERT INTO late SELECT i, i FROM generate_series(1, 20) i',
    );
    await local('ALTER TABLE late ADD CONSTRAINT low CHECK (up < 15) NOT VALID');
    await local('CREATE TABLE ranged (k integer); INSERT INTO ranged VALUES (5)');
    const bounds = { method: 'range', shardCount: null, shardBounds: 'FROM (1) TO (9)' } as const;
    await distribute('ranged', 'k', bounds);
    await distribute('late', 'k');
    expect(await herd.coordinator.rows("SELECT convalidated FROM pg_constraint WHERE conname = 'low'")).toEqual(['f']);
    expect(await total('SELECT count(*) FROM late')).toBe(20);
  });

  test('a referenced table is distributed first, then the referencing one', async () => {
    await local(`CREATE TABLE companies (id integer PRIMARY KEY); INSERT INTO companies VALUES (1), (2), (3);
      CREATE TABLE campaigns (id serial, company integer REFERENCES companies, PRIMARY KEY (id, company));
      INSERT INTO campaigns (company) VALUES (1), (3)`);
    await distribute('companies', 'id');
    await distribute('campaigns', 'company');
    expect(await total('SELECT count(*) FROM campaigns')).toBe(2);
    expect(
      await herd.coordinator.rows("SELECT convalidated FROM pg_constraint WHERE conname = 'campaigns_company_fkey'"),
    ).toEqual(['t']);
    const refusals = await Promise.all(
      herd.nodes.map((node) => failure(node.query('INSERT INTO campaigns VALUES (9, 99)'))),
    );
    expect(refusals.filter((refusal) => /^23503/.test(refusal))).toHaveLength(1);
  });

  test('a BEFORE trigger that changes the key is refused by the node, in the leaf and through the parent', async () => {
    await local(`CREATE TABLE moved (k integer, v integer);
      CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.k := NEW.k + 1000; RETURN NEW; END';
      CREATE TRIGGER move BEFORE INSERT OR UPDATE ON moved FOR EACH ROW EXECUTE FUNCTION move()`);
    for (const node of herd.nodes) {
      await node.query(
        "CREATE OR REPLACE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.k := NEW.k + 1000; RETURN NEW; END'",
      );
    }
    await distribute('moved', 'k');
    const leaf = 'pgherd_s00_public.moved';
    const outcomes: string[] = [];
    for (let k = 1; k <= 40; k++) {
      for (const name of [leaf, 'moved'])
        outcomes.push(await failure(herd.nodes[0]!.query(`INSERT INTO ${name} VALUES (${k}, 1)`)));
    }
    const kept = await herd.nodes[0]!.rows(
      "SELECT count(*) FROM moved WHERE NOT satisfies_hash_partition('moved'::regclass, 4, 0, k) AND NOT satisfies_hash_partition('moved'::regclass, 4, 2, k)",
    );
    expect(kept).toEqual(['0']);
    expect(new Set(outcomes.filter((outcome) => outcome !== '').map((outcome) => outcome.slice(0, 5)))).toEqual(
      new Set(['23514', '0A000']),
    );
  });
});

/** What DDL through the router has on every server. */
const objects = `
CREATE ROLE boss; CREATE ROLE clerk; CREATE ROLE visitor;
CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO boss, clerk;
CREATE TYPE app.state AS ENUM ('new', 'old');
CREATE FUNCTION app.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := coalesce(NEW.note, ''stamped''); RETURN NEW; END'`;

const everything = `
CREATE TABLE countries (code text PRIMARY KEY); INSERT INTO countries VALUES ('DE'), ('IT');
CREATE TABLE app.customers (id integer PRIMARY KEY, name text); INSERT INTO app.customers SELECT i, 'c' || i FROM generate_series(1, 20) i;
CREATE TABLE app."Orders" (id serial, customer integer NOT NULL REFERENCES app.customers ON DELETE CASCADE,
  country text REFERENCES countries, state app.state DEFAULT 'new', amount numeric(10, 2) CONSTRAINT positive CHECK (amount >= 0),
  double numeric GENERATED ALWAYS AS (amount * 2) STORED, note text COLLATE "C",
  PRIMARY KEY (id), CONSTRAINT unique_pair UNIQUE (customer, id)) WITH (fillfactor = 70);
CREATE INDEX ON app."Orders" (lower(note)) INCLUDE (amount) WHERE amount > 0;
CREATE UNIQUE INDEX by_note ON app."Orders" (customer, note, amount);
CREATE STATISTICS app.order_stats ON customer, amount FROM app."Orders";
ALTER TABLE app."Orders" ALTER COLUMN note SET STORAGE EXTERNAL, ALTER COLUMN amount SET STATISTICS 500;
ALTER TABLE app."Orders" REPLICA IDENTITY FULL;
COMMENT ON TABLE app."Orders" IS 'all orders'; COMMENT ON COLUMN app."Orders".note IS 'it''s';
ALTER TABLE app."Orders" ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON app."Orders" FOR SELECT TO clerk USING (amount < 100);
CREATE TRIGGER stamp BEFORE INSERT ON app."Orders" FOR EACH ROW EXECUTE FUNCTION app.stamp();
INSERT INTO app."Orders" (customer, country, amount) SELECT i % 20 + 1, 'DE', i FROM generate_series(1, 50) i;
CREATE VIEW app.order_sums AS SELECT customer, sum(amount) FROM app."Orders" GROUP BY 1;
GRANT SELECT ON app."Orders" TO clerk; GRANT SELECT (note) ON app."Orders" TO visitor;
ALTER TABLE app."Orders" OWNER TO boss`;
