import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { classifyDdl, runDdl } from '../../src/schema/ddl.ts';
import { createDistributedTable } from '../../src/schema/distribute.ts';
import { createReferenceTable } from '../../src/schema/reference.ts';
import { parseStatements } from '../../src/sql/parse.ts';
import { type Client, failure, startTestHerd, type TestHerd } from './schema-herd.ts';

describe.each([15, 18] as const)('PostgreSQL %i', (version) => {
  let herd: TestHerd;

  beforeAll(async () => {
    herd = await startTestHerd({ version });
    await ddl(`CREATE ROLE reader; CREATE ROLE owner2; CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('sad', 'ok');
      CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := coalesce(NEW.note, ''touched''); RETURN NEW; END'`);
    await herd.coordinator.query(tables);
    await herd.transaction((tx) => createReferenceTable(tx, 'kinds'));
    await distribute('parents', 'id');
    await distribute('children', 'parent');
  });
  afterAll(() => herd?.stop());

  const distribute = (table: string, column: string) =>
    herd.transaction((tx) =>
      createDistributedTable(tx, {
        table,
        column,
        method: 'hash',
        colocateWith: 'default',
        shardCount: 4,
        shardBounds: null,
      }),
    );

  /** Each statement in a transaction of its own, as a session runs it. */
  const ddl = async (sql: string): Promise<string> => {
    let tag = '';
    for (const statement of parseStatements(sql)) {
      const searchPath = await herd.coordinator.rows('SELECT unnest(current_schemas(true))');
      const action = classifyDdl(statement, await herd.snapshot(), searchPath);
      if (action.outsideTransaction) throw new Error('not in a transaction');
      tag = await herd.transaction((tx) => runDdl(tx, action, statement));
    }
    return tag;
  };
  const kindOf = async (sql: string) =>
    classifyDdl(parseStatements(sql)[0]!, await herd.snapshot(), ['pg_catalog', 'public']).kind;
  const onNodes = async (sql: string) => (await Promise.all(herd.nodes.map((node) => node.rows(sql)))).flat();
  const everywhere = async (sql: string) => [
    await herd.coordinator.rows(sql),
    ...(await Promise.all(herd.nodes.map((node) => node.rows(sql)))),
  ];
  const distinct = async (sql: string) => [...new Set(await onNodes(sql))].sort();
  const total = async (sql: string) => (await onNodes(sql)).reduce((sum, value) => sum + Number(value), 0);
  /** Rows go past the router, to the node that takes them. */
  const insert = async (sql: string) => {
    const refusals = await Promise.all(herd.nodes.map((node) => failure(node.query(sql))));
    return refusals.find((refusal) => !/^23514 no partition/.test(refusal)) ?? refusals[0]!;
  };

  /** Columns, constraints and indexes as nodes see them, parent and leaves; the same on all. */
  const check = async (table: string) => {
    const columns = `SELECT attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' !' ELSE '' END
      FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`;
    const [own, ...nodes] = await everywhere(columns);
    for (const node of nodes) expect(node).toEqual(own);
    const names = (relation: string) =>
      `SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = indexrelid WHERE indrelid = ${relation} ORDER BY 1`;
    const indexes = await herd.coordinator.rows(names(`'${table}'::regclass`));
    for (const node of herd.nodes) {
      for (const [leaf] of (
        await node.query(`SELECT relid::oid FROM pg_partition_tree('${table}') UNION SELECT '${table}'::regclass::oid`)
      ).rows) {
        expect(await node.rows(names(leaf!))).toEqual(indexes);
      }
      expect(await node.rows('SELECT count(*) FROM pg_index WHERE NOT indisvalid')).toEqual(['0']);
    }
  };
  const names = async (client: Client, sql: string) => (await client.rows(sql)).join();

  test('columns: add with constant, stable, volatile and serial defaults; drop; type; default; not null; rename', async () => {
    await ddl(
      'ALTER TABLE children ADD COLUMN extra integer DEFAULT 7 NOT NULL, ADD COLUMN at timestamptz DEFAULT now()',
    );
    expect(await distinct('SELECT DISTINCT extra FROM children')).toEqual(['7']);
    // now() is one moment for all rows of all nodes.
    expect(await distinct('SELECT DISTINCT at FROM children')).toHaveLength(1);
    await ddl(
      'ALTER TABLE children ADD COLUMN n bigserial, ADD COLUMN u uuid DEFAULT gen_random_uuid(), ADD COLUMN g integer GENERATED ALWAYS AS (extra * 2) STORED',
    );
    expect((await onNodes('SELECT n FROM children')).map(Number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
    expect(await herd.coordinator.rows("SELECT nextval('children_n_seq')")).toEqual(['41']);
    expect(new Set(await onNodes('SELECT u FROM children')).size).toBe(40);
    expect(await distinct('SELECT DISTINCT g FROM children')).toEqual(['14']);
    await ddl('ALTER TABLE children ADD COLUMN i integer GENERATED BY DEFAULT AS IDENTITY');
    expect(new Set(await onNodes('SELECT i FROM children')).size).toBe(40);
    await check('children');
    await ddl(
      "ALTER TABLE children ALTER COLUMN extra TYPE text USING 'v' || extra, DROP COLUMN g, DROP COLUMN n, DROP COLUMN i, ALTER COLUMN at SET DEFAULT '2020-01-01', ALTER COLUMN u DROP DEFAULT, ALTER u SET NOT NULL".replace(
        'DROP COLUMN g, ',
        '',
      ),
    ).catch(async () => {
      await ddl('ALTER TABLE children DROP COLUMN g');
      await ddl(
        "ALTER TABLE children ALTER COLUMN extra DROP DEFAULT, ALTER COLUMN extra TYPE text USING 'v' || extra",
      );
      await ddl(
        "ALTER TABLE children DROP COLUMN n, DROP COLUMN i, ALTER COLUMN at SET DEFAULT '2020-01-01', ALTER COLUMN u DROP DEFAULT, ALTER u SET NOT NULL",
      );
    });
    expect(await distinct('SELECT DISTINCT extra FROM children')).toEqual(['v7']);
    expect(
      await distinct(
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'children'::regclass ORDER BY 1",
      ),
    ).toEqual(["'2020-01-01 00:00:00+00'::timestamp with time zone"]);
    await ddl('ALTER TABLE children RENAME COLUMN extra TO more');
    await ddl("ALTER TABLE children ALTER u DROP NOT NULL, ALTER more SET DEFAULT upper('x')");
    await check('children');
    await ddl('ALTER TABLE children DROP COLUMN more, DROP COLUMN at, DROP COLUMN u');
    await check('children');
  });

  test('constraints: check, unique with and without the key, foreign key, rename, drop, NOT VALID and VALIDATE', async () => {
    await ddl('ALTER TABLE children ADD CONSTRAINT small CHECK (v < 1000) NOT VALID');
    await ddl('ALTER TABLE children VALIDATE CONSTRAINT small');
    expect(await distinct("SELECT DISTINCT convalidated FROM pg_constraint WHERE conname = 'small'")).toEqual(['t']);
    await ddl('ALTER TABLE children RENAME CONSTRAINT small TO smaller');
    expect(await insert('INSERT INTO children (parent, v) VALUES (1, 5000)')).toMatch(/^23514 .*"smaller"/);
    await ddl('ALTER TABLE children DROP CONSTRAINT smaller');
    await ddl('ALTER TABLE children ADD UNIQUE (parent, v), ADD COLUMN kind text REFERENCES kinds');
    expect(await insert('INSERT INTO children (parent, v) SELECT parent, v FROM children LIMIT 1')).toMatch(
      /^23505 .*"children_parent_v_key"/,
    );
    expect(await insert("UPDATE children SET kind = 'none'")).toMatch(/^23503 .*"children_kind_fkey"/);
    await ddl('ALTER TABLE children RENAME CONSTRAINT children_kind_fkey TO kind_known');
    expect(await insert("UPDATE children SET kind = 'none'")).toMatch(/^23503 .*"kind_known"/);
    await ddl('ALTER TABLE children RENAME CONSTRAINT children_parent_v_key TO pv');
    await check('children');
    await ddl('ALTER TABLE children DROP CONSTRAINT pv, DROP COLUMN kind');
    await check('children');
  });

  test('a unique key without the distribution column becomes a global unique index over the rows that are there', async () => {
    await ddl('ALTER TABLE children ADD CONSTRAINT code_once UNIQUE (code)');
    const hidden = async () => {
      const { distribution } = (await herd.snapshot()).relations.get('public')!.get('children')!.distributed!;
      return distribution.kind === 'distributed' ? distribution.globalIndexes : [];
    };
    const [index] = await hidden();
    expect(index).toMatchObject({ name: 'code_once', columns: ['code'], predicate: null });
    const name = `${index!.hiddenSchema}.${index!.hiddenName}`;
    expect(await total(`SELECT count(*) FROM ${name}`)).toBe(40);
    expect(await insert(`INSERT INTO ${name} SELECT * FROM ${name} LIMIT 1`)).toMatch(/^23505 .*"code_once"/);
    await ddl('ALTER TABLE children RENAME COLUMN code TO kode');
    expect(
      await distinct(`SELECT attname FROM pg_attribute WHERE attrelid = '${name}'::regclass AND attnum = 1`),
    ).toEqual(['kode']);
    await ddl('ALTER TABLE children RENAME COLUMN kode TO code');
    await ddl('ALTER INDEX code_once RENAME TO code_unique');
    expect((await hidden())[0]!.name).toBe('code_unique');
    expect(await insert(`INSERT INTO ${name} SELECT * FROM ${name} LIMIT 1`)).toMatch(/^23505 .*"code_unique"/);
    await ddl('GRANT INSERT ON children TO reader');
    expect(await distinct(`SELECT has_table_privilege('reader', '${name}', 'DELETE')`)).toEqual(['t']);
    await ddl('CREATE UNIQUE INDEX partly ON children (v) WHERE v > 30');
    const partly = (await hidden()).find((candidate) => candidate.name === 'partly')!;
    expect(await total(`SELECT count(*) FROM ${partly.hiddenSchema}.${partly.hiddenName}`)).toBe(10);
    await check('children');
    const duplicates = ddl('CREATE UNIQUE INDEX twice ON children (note)');
    expect(await failure(duplicates)).toMatch(/^23505 .*"twice"/);
    await ddl('ALTER TABLE children DROP CONSTRAINT code_unique');
    await ddl('DROP INDEX partly');
    expect(await hidden()).toEqual([]);
    expect(await onNodes("SELECT relname FROM pg_class WHERE relname ~ '^key_' AND relkind IN ('r', 'p')")).toEqual([]);
    await check('children');
  });

  test('indexes: plain, partial, expression, INCLUDE, unique; rename, settings, drop', async () => {
    await ddl(`CREATE INDEX ON children (v); CREATE INDEX by_note ON children (lower(note) text_pattern_ops) WHERE v > 1;
      CREATE UNIQUE INDEX pn ON children (parent, note, v) INCLUDE (code) WITH (fillfactor = 80)`);
    await ddl('CREATE INDEX IF NOT EXISTS slow ON children (code)');
    await check('children');
    await ddl('ALTER INDEX slow RENAME TO fast; ALTER INDEX pn SET (fillfactor = 70)');
    expect(await distinct("SELECT DISTINCT reloptions FROM pg_class WHERE relname = 'pn' AND relkind = 'i'")).toEqual([
      '{fillfactor=70}',
    ]);
    await check('children');
    await ddl('DROP INDEX fast, pn; DROP INDEX children_v_idx, by_note');
    await check('children');
  });

  test('rename of tables, moves to other schemas, rename of schemas', async () => {
    await ddl('ALTER TABLE children RENAME TO kids');
    await check('kids');
    expect(await failure(herd.coordinator.query('SELECT * FROM kids'))).toMatch(/public\.kids was read/);
    await ddl('GRANT USAGE ON SCHEMA app TO reader; GRANT SELECT ON kids TO reader; ALTER TABLE kids SET SCHEMA app');
    await check('app.kids');
    expect(
      await distinct(
        "SELECT DISTINCT has_schema_privilege('reader', oid, 'USAGE') FROM pg_namespace WHERE nspname ~ '^pgherd_s.._app'",
      ),
    ).toEqual(['t']);
    await ddl('REVOKE USAGE ON SCHEMA app FROM reader');
    expect(
      await distinct(
        "SELECT DISTINCT has_schema_privilege('reader', oid, 'USAGE') FROM pg_namespace WHERE nspname ~ '^pgherd_s.._app'",
      ),
    ).toEqual(['f']);
    await ddl('ALTER SCHEMA app RENAME TO appx');
    await check('appx.kids');
    expect(
      await total(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname ~ '^pgherd_s.._appx' AND relname = 'kids'",
      ),
    ).toBe(4);
    await ddl(
      'ALTER SCHEMA appx RENAME TO app; ALTER TABLE app.kids SET SCHEMA public; ALTER TABLE kids RENAME TO children',
    );
    await check('children');
    expect(await insert('INSERT INTO children (parent, v) VALUES (9999, 1)')).toMatch(/^23503/);
  });

  test('grants, owner, row security, policies, triggers, comments, statistics, storage reach parents and leaves', async () => {
    await ddl(`GRANT SELECT, UPDATE (note) ON children TO reader; ALTER TABLE children OWNER TO owner2;
      ALTER TABLE children ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON children FOR SELECT TO reader USING (v < 5);
      CREATE TRIGGER touch BEFORE INSERT ON children FOR EACH ROW EXECUTE FUNCTION app.touch();
      COMMENT ON TABLE children IS 'small ones'; COMMENT ON COLUMN children.v IS 'value'; CREATE STATISTICS vc ON v, code FROM children;
      ALTER TABLE children SET (fillfactor = 50), ALTER COLUMN note SET STORAGE EXTERNAL, ALTER v SET STATISTICS 77`);
    const leaves = "(SELECT c.oid FROM pg_class c WHERE relname = 'children' AND relispartition)";
    expect(
      await distinct(
        `SELECT DISTINCT pg_get_userbyid(relowner), relrowsecurity, reloptions FROM pg_class WHERE oid IN ${leaves}`,
      ),
    ).toEqual(['owner2|t|{fillfactor=50}']);
    expect(
      await distinct(
        `SELECT DISTINCT has_table_privilege('reader', oid, 'SELECT'), has_column_privilege('reader', oid, 'note', 'UPDATE'), has_column_privilege('reader', oid, 'v', 'UPDATE') FROM pg_class WHERE relname = 'children'`,
      ),
    ).toEqual(['t|t|f']);
    expect(await total("SELECT count(*) FROM pg_policies WHERE policyname = 'few'")).toBe(6);
    expect(await total("SELECT count(*) FROM pg_trigger WHERE tgname = 'touch'")).toBe(6);
    expect(
      await distinct("SELECT obj_description('children'::regclass), col_description('children'::regclass, 3)"),
    ).toEqual(['small ones|value']);
    expect(await total("SELECT count(*) FROM pg_statistic_ext WHERE stxname = 'vc'")).toBe(6);
    expect(
      await distinct(
        `SELECT DISTINCT attstorage, attstattarget FROM pg_attribute WHERE attrelid IN ${leaves} AND attname = 'note'`,
      ),
    ).toHaveLength(1);
    await ddl(`ALTER TABLE children DISABLE TRIGGER touch; ALTER POLICY few ON children USING (v < 6); REVOKE SELECT ON children FROM reader;
      ALTER TABLE children NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY; ALTER TABLE children RESET (fillfactor)`);
    expect(await distinct("SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgname = 'touch'")).toEqual(['D']);
    expect(await distinct(`SELECT DISTINCT qual FROM pg_policies WHERE policyname = 'few'`)).toEqual(['(v < 6)']);
    expect(
      await distinct(
        `SELECT DISTINCT has_table_privilege('reader', oid, 'SELECT'), relrowsecurity, reloptions FROM pg_class WHERE oid IN ${leaves}`,
      ),
    ).toEqual(['f|f|∅']);
    await ddl(
      'GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; DROP TRIGGER touch ON children; DROP POLICY few ON children; DROP STATISTICS vc',
    );
    expect(
      await distinct(
        `SELECT DISTINCT has_table_privilege('reader', oid, 'SELECT') FROM pg_class WHERE oid IN ${leaves}`,
      ),
    ).toEqual(['t']);
    expect(await total("SELECT count(*) FROM pg_trigger WHERE tgname = 'touch'")).toBe(0);
    expect(await total("SELECT count(*) FROM pg_policies WHERE policyname = 'few'")).toBe(0);
    expect(await total("SELECT count(*) FROM pg_statistic_ext WHERE stxname = 'vc'")).toBe(0);
  });

  test('the guards outlive what would switch them off', async () => {
    await ddl('ALTER TABLE children DISABLE TRIGGER ALL');
    expect(await failure(herd.coordinator.query('DELETE FROM children'))).toMatch(/PH001/);
    const [statistics] = await herd.coordinator.rows(
      "SELECT stxname FROM pg_statistic_ext WHERE stxrelid = 'children'::regclass",
    );
    await ddl(
      `DROP STATISTICS pgherd.${statistics}; DROP TRIGGER pgherd_guard ON children; ALTER TABLE children ENABLE TRIGGER ALL`,
    );
    expect(await failure(herd.coordinator.query('SELECT * FROM children'))).toMatch(/PH001/);
    expect(await failure(herd.coordinator.query('DELETE FROM children'))).toMatch(/PH001/);
  });

  test('CREATE TABLE LIKE takes no guard along', async () => {
    await ddl('CREATE TABLE copycat (LIKE children INCLUDING ALL)');
    expect(await herd.coordinator.rows('SELECT count(*) FROM copycat')).toEqual(['0']);
    expect(await failure(herd.coordinator.query('SELECT * FROM children'))).toMatch(/PH001/);
  });

  test('reference tables: columns, constraints, indexes, grants, rename on every copy', async () => {
    await ddl(`ALTER TABLE kinds ADD COLUMN id serial, ADD COLUMN r double precision DEFAULT random(), ADD COLUMN at timestamptz DEFAULT clock_timestamp();
      ALTER TABLE kinds ADD UNIQUE (id); CREATE INDEX ON kinds (lower(name)); GRANT SELECT ON kinds TO reader`);
    const [own, ...copies] = await everywhere('SELECT * FROM kinds ORDER BY name');
    for (const copy of copies) expect(copy).toEqual(own);
    await check('kinds');
    expect(
      await failure(herd.nodes[0]!.query("INSERT INTO kinds (name, id) SELECT 'again', id FROM kinds LIMIT 1")),
    ).toMatch(/^23505 .*"kinds_id_key"/);
    await ddl(
      'ALTER TABLE kinds DROP COLUMN r, DROP COLUMN at; ALTER TABLE kinds RENAME TO sorts; ALTER TABLE sorts RENAME TO kinds',
    );
    await check('kinds');
  });

  test('types, domains, functions, extensions are on every server, also those that tables do not use yet', async () => {
    await ddl(`ALTER TYPE app.mood ADD VALUE 'happy'; CREATE DOMAIN app.short AS text CHECK (length(VALUE) < 9); CREATE TYPE app.pair AS (a integer, b text);
      ALTER TYPE app.pair ADD ATTRIBUTE c integer; CREATE FUNCTION app.many() RETURNS SETOF integer LANGUAGE sql STABLE AS 'SELECT id FROM parents';
      CREATE FUNCTION app.tab() RETURNS TABLE (x integer) LANGUAGE sql STABLE AS 'SELECT id FROM parents';
      CREATE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 1'; CREATE EXTENSION pg_trgm; CREATE AGGREGATE app.total (integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0')`);
    for (const rows of await everywhere(
      "SELECT enum_range(NULL::app.mood), 'x'::app.short, (1, 'y', 2)::app.pair, app.total(1)",
    ))
      expect(rows).toEqual(['{sad,ok,happy}|x|(1,y,2)|1']);
    expect(await distinct("SELECT proname FROM pg_proc WHERE proconfig = '{pgherd.node_function=on}'")).toEqual([
      'many',
      'tab',
    ]);
    // On a node, a function that reads a distributed table raises, though PostgreSQL could inline it.
    expect(await failure(herd.nodes[0]!.query('SELECT * FROM app.many()'))).toMatch(/PH001/);
    await ddl("ALTER TABLE children ADD COLUMN m app.mood DEFAULT 'happy', ADD COLUMN s app.short");
    expect(await distinct('SELECT DISTINCT m FROM children')).toEqual(['happy']);
    await ddl(
      'ALTER TYPE app.mood RENAME TO humour; ALTER FUNCTION app.many() RENAME TO several; ALTER DOMAIN app.short DROP CONSTRAINT short_check',
    );
    await check('children');
    await ddl(
      'DROP DOMAIN app.short CASCADE; DROP TYPE app.humour CASCADE; DROP FUNCTION app.several(); DROP TYPE app.pair; DROP AGGREGATE app.total (integer); DROP PROCEDURE app.p; DROP EXTENSION pg_trgm',
    );
    await check('children');
    for (const rows of await everywhere("SELECT typname FROM pg_type WHERE typname IN ('humour', 'short', 'pair')"))
      expect(rows).toEqual([]);
    expect(await ddl('CREATE EXTENSION IF NOT EXISTS citus')).toBe('CREATE EXTENSION');
  });

  test('what needs something of the coordinator alone stays there', async () => {
    await ddl(
      "CREATE TABLE only_here (id integer); CREATE FUNCTION app.of_row(only_here) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    );
    expect(await onNodes("SELECT proname FROM pg_proc WHERE proname = 'of_row'")).toEqual([]);
    await ddl('DROP FUNCTION app.of_row; DROP TABLE only_here');
  });

  test('roles: identical verifiers, attributes, memberships, renames', async () => {
    await ddl(
      "CREATE ROLE clerk LOGIN PASSWORD 'secret' IN ROLE reader CONNECTION LIMIT 7; ALTER ROLE clerk SET work_mem = '8MB'; GRANT owner2 TO clerk",
    );
    const facts =
      "SELECT rolpassword, rolconnlimit, pg_has_role('clerk', 'owner2', 'MEMBER'), pg_has_role('clerk', 'reader', 'MEMBER') FROM pg_authid WHERE rolname = 'clerk'";
    const [own, ...nodes] = await everywhere(facts);
    expect(own![0]).toMatch(/^SCRAM-SHA-256.*\|7\|t\|t$/);
    for (const node of nodes) expect(node).toEqual(own);
    await ddl("ALTER ROLE clerk PASSWORD 'other' NOLOGIN");
    const [changed, ...others] = await everywhere(facts);
    expect(changed).not.toEqual(own);
    for (const node of others) expect(node).toEqual(changed);
    await ddl('ALTER ROLE clerk RENAME TO scribe; DROP ROLE scribe');
    for (const rows of await everywhere("SELECT rolname FROM pg_roles WHERE rolname IN ('clerk', 'scribe')"))
      expect(rows).toEqual([]);
  });

  test('TRUNCATE empties tables, their hidden tables, and restarts sequences', async () => {
    await ddl('ALTER TABLE children ADD CONSTRAINT code_once UNIQUE (code)');
    expect(await failure(ddl('TRUNCATE parents'))).toMatch(/^0A000 cannot truncate/);
    expect(await total('SELECT count(*) FROM children')).toBe(40);
    expect(await ddl('TRUNCATE parents RESTART IDENTITY CASCADE')).toMatch(/^TRUNCATE/);
    expect(await total('SELECT (SELECT count(*) FROM children) + (SELECT count(*) FROM parents)')).toBe(0);
    expect(
      await total(
        "SELECT coalesce(sum((xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %s', oid::regclass), true, true, '')))[1]::text::integer), 0) FROM pg_class WHERE relispartition AND relname ~ '^key_' AND relkind = 'r'",
      ),
    ).toBe(0);
    expect(await herd.coordinator.rows("SELECT nextval('parents_id_seq')")).toEqual(['1']);
    await ddl('ALTER TABLE children DROP CONSTRAINT code_once');
  });

  test('VACUUM, ANALYZE, REINDEX and CLUSTER are for every node', async () => {
    expect(await kindOf('VACUUM children')).toBe('maintenance');
    expect(await kindOf('VACUUM ANALYZE')).toBe('maintenance');
    expect(await kindOf('ANALYZE copycat')).toBe('local');
    expect(await kindOf('REINDEX TABLE children')).toBe('maintenance');
    await ddl('ANALYZE children');
    await ddl('ANALYZE');
  });

  test.each([
    ['ALTER TABLE children DROP COLUMN parent', /PH035/],
    ['CREATE RULE r AS ON INSERT TO children DO INSTEAD NOTHING', /PH034/],
    [
      'CREATE TRIGGER s AFTER INSERT ON children REFERENCING NEW TABLE AS t FOR EACH STATEMENT EXECUTE FUNCTION app.touch()',
      /PH033/,
    ],
    ['ALTER TABLE children ADD CHECK (v > 0) NO INHERIT', /PH034/],
    ['CREATE TABLE heir () INHERITS (children)', /PH031/],
    ['ALTER TABLE copycat INHERIT children', /PH031|42/],
    ['CREATE DATABASE other', /PH005/],
    ['ALTER TABLE children ADD COLUMN strict integer NOT NULL', /^23502/],
    ['ALTER TABLE children ADD CHECK (v < 3)', /^23514/],
    ['ALTER TABLE nowhere ADD COLUMN x integer', /^42P01/],
  ])('%s is refused, and no node is changed', async (sql, error) => {
    await herd.nodes[0]!.query(
      "INSERT INTO parents (id, name) SELECT i, 'p' FROM generate_series(1, 100) i WHERE satisfies_hash_partition('parents'::regclass, 4, 0, i) ON CONFLICT DO NOTHING; INSERT INTO children (parent, v) SELECT id, 10 FROM parents ON CONFLICT DO NOTHING",
    );
    const shape =
      "SELECT count(*), sum(hashtext(attname)) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relname IN ('children', 'parents')";
    const before = await everywhere(shape);
    expect(await failure(ddl(sql))).toMatch(error);
    expect(await everywhere(shape)).toEqual(before);
  });

  test('DROP takes tables, hidden tables, shards and catalog rows; CASCADE takes what depends', async () => {
    await ddl('ALTER TABLE children ADD CONSTRAINT code_once UNIQUE (code)');
    expect(await failure(ddl('DROP TABLE parents'))).toMatch(/^2BP01/);
    await herd.coordinator.query('CREATE VIEW looking AS SELECT * FROM parents');
    await ddl('DROP TABLE parents CASCADE');
    expect(
      await distinct("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'children'::regclass"),
    ).toEqual(['0']);
    await check('children');
    await ddl('CREATE SCHEMA shop CREATE TABLE sold (id integer PRIMARY KEY); DROP TABLE children, copycat');
    await distribute('shop.sold', 'id');
    await ddl('DROP SCHEMA shop CASCADE; DROP TABLE kinds');
    expect(
      await onNodes(
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p') AND nspname !~ '^(pg_|information_schema)'",
      ),
    ).toEqual([]);
    expect(await herd.coordinator.rows('SELECT count(*) FROM pgherd.dist_table')).toEqual(['0']);
    expect(await herd.coordinator.rows('SELECT count(*) FROM pgherd.colocation_group')).toEqual(['0']);
    expect(await names(herd.nodes[0]!, "SELECT nspname FROM pg_namespace WHERE nspname ~ 'shop'")).toBe('');
  });
});

const tables = `
CREATE TABLE kinds (name text PRIMARY KEY); INSERT INTO kinds VALUES ('a'), ('b');
CREATE TABLE parents (id serial PRIMARY KEY, name text); INSERT INTO parents (name) SELECT 'p' || i FROM generate_series(1, 20) i;
CREATE TABLE children (parent integer NOT NULL REFERENCES parents ON DELETE CASCADE, code text, v integer, note text);
INSERT INTO children SELECT i % 20 + 1, 'c' || i, i, 'same' FROM generate_series(1, 40) i`;
