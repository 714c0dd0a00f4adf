import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { connectRaw, resetSchema } from '../oracle/client.ts';
import { type Pair, startPair } from '../oracle/pair.ts';
import { createDriverTables } from './schema.ts';
import { findPythonModule, findTool, runTool } from './tool.ts';

vi.setConfig({ testTimeout: 60_000 });

const psql = findTool('psql');
const pgbench = findTool('pgbench');
const pgDump = findTool('pg_dump');
const python = findPythonModule('psycopg2');
// PostgreSQL's tools want a server that isn't newer than they are.
const version = psql?.major === 15 ? 15 : 18;

describe.skipIf([psql, pgbench, pgDump, python].every((found) => found === undefined))('command line tools', () => {
  let pair: Pair;
  let directory: string;

  beforeAll(async () => {
    pair = await startPair({ version });
    directory = mkdtempSync(join(tmpdir(), 'pgherd-tools-'));
  }, 120_000);

  beforeEach(() => createDriverTables(pair), 60_000);

  afterAll(async () => {
    rmSync(directory, { recursive: true, force: true });
    await pair?.stop();
  }, 60_000);

  const runPsql = async (input: string, url = pair.herd) => {
    const { code, stdout, stderr } = await runTool('psql', ['-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', url], {
      input,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout;
  };

  describe.skipIf(psql === undefined)('psql', () => {
    test('describes tables', async () => {
      const described = await runPsql(
        '\\pset format aligned\n\\pset tuples_only off\n\\d account\n\\dt+\n\\di\n\\ds\n\\dT\n\\df\n\\du\n\\dn+\n\\l',
      );
      for (const word of ['account_pkey', 'numeric(12,2)', 'booking', 'account_id_seq', 'feeling'])
        expect(described).toContain(word);
    });

    test('copies from and to a file', async () => {
      const from = join(directory, 'in.csv');
      const to = join(directory, 'out.csv');
      const lines = Array.from({ length: 3000 }, (_, i) => `${i % 31},${i},${i}.25`);
      writeFileSync(from, `${lines.join('\n')}\n`);
      await runPsql(`\\copy booking FROM '${from}' CSV\n\\copy (SELECT * FROM booking ORDER BY id) TO '${to}' CSV`);
      expect(readFileSync(to, 'utf8')).toBe(`${lines.join('\n')}\n`);
    });

    test('shows errors with their line and position, and goes on', async () => {
      const { stdout, stderr } = await runTool('psql', ['-X', '-q', '-At', pair.herd], {
        input: 'SELECT nope FROM account;\nSELECT 1;',
      });
      expect(stderr).toContain('column "nope" does not exist');
      expect(stderr).toContain('LINE 1: SELECT nope FROM account;');
      expect(stderr).toMatch(/^ +\^$/m);
      expect(stdout).toBe('1\n');
    });

    test('runs \\gset, \\gexec, \\watch, \\bind-less prepared statements and FETCH_COUNT', async () => {
      const input = [
        'INSERT INTO booking SELECT g % 5, g, g FROM generate_series(1, 40) g;',
        'SELECT count(*) AS n FROM booking \\gset',
        '\\echo :n',
        "SELECT 'SELECT ' || g FROM generate_series(1, 2) g \\gexec",
        '\\set FETCH_COUNT 7',
        'SELECT id FROM booking ORDER BY id;',
        '\\set ON_ERROR_ROLLBACK on',
        'BEGIN;',
        'SELECT sum(id) FROM booking;',
        'COMMIT;',
      ].join('\n');
      const ids = Array.from({ length: 40 }, (_, i) => `${i + 1}`);
      expect((await runPsql(input)).trim().split('\n')).toEqual(['40', '1', '2', ...ids, '820']);
    });
  });

  describe.skipIf(pgbench === undefined)('pgbench', () => {
    const tables: Readonly<Record<string, string>> = {
      pgbench_branches: 'bid',
      pgbench_tellers: 'tid',
      pgbench_accounts: 'aid',
      pgbench_history: 'aid',
    };

    test('fills its tables, and its three modes keep the sums equal', async () => {
      const client = await connectRaw(pair.herd);
      const filled = await runTool('pgbench', ['-i', '-q', '-s', '1', pair.herd]);
      expect(filled.code, filled.stderr).toBe(0);
      if (pair.distributed)
        for (const [table, column] of Object.entries(tables))
          await client.query(`SELECT create_distributed_table('${table}', '${column}')`);
      for (const mode of ['simple', 'extended', 'prepared']) {
        const run = await runTool('pgbench', ['-n', '-M', mode, '-c', '4', '-j', '2', '-t', '25', pair.herd]);
        expect(run.code, run.stderr).toBe(0);
        expect(run.stdout).toContain('number of transactions actually processed: 100/100');
        const read = await runTool('pgbench', ['-n', '-S', '-M', mode, '-c', '4', '-t', '50', pair.herd]);
        expect(read.code, read.stderr).toBe(0);
      }
      await expectBalanced(client);
      await client.end();
    }, 300_000);

    async function expectBalanced(client: pg.Client): Promise<void> {
      const sum = async (column: string, table: string) =>
        (await client.query(`SELECT coalesce(sum(${column}), 0) AS s, count(*) AS n FROM ${table}`)).rows[0];
      const history = await sum('delta', 'pgbench_history');
      expect(history.n).toBe('300');
      expect((await sum('abalance', 'pgbench_accounts')).s).toBe(history.s);
      expect((await sum('tbalance', 'pgbench_tellers')).s).toBe(history.s);
      expect((await sum('bbalance', 'pgbench_branches')).s).toBe(history.s);
    }
  });

  describe.skipIf(pgDump === undefined || psql === undefined || pgDump.major !== version)('pg_dump', () => {
    test('dumps all rows of distributed tables, and a plain PostgreSQL takes the dump', async () => {
      await runPsql(
        [
          "INSERT INTO account (name, tags, feeling) SELECT 'ä' || g, ARRAY['t' || g], 'ok' FROM generate_series(1, 50) g;",
          'INSERT INTO booking SELECT g % 50 + 1, g, g FROM generate_series(1, 500) g;',
          "INSERT INTO currency VALUES ('EUR', 'Euro');",
          'CREATE VIEW totals AS SELECT account_id, sum(amount) AS total FROM booking GROUP BY account_id;',
          'CREATE TABLE note (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code char(3) REFERENCES currency, text text);',
          "COMMENT ON TABLE note IS 'lokal'; GRANT SELECT ON note TO PUBLIC; CREATE INDEX ON note (lower(text));",
          "INSERT INTO note (code, text) VALUES ('EUR', E'a\\tb'), (NULL, NULL);",
          'CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.text := upper(NEW.text); RETURN NEW; END $$;',
          'CREATE TRIGGER note_shout BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION shout();',
        ].join('\n'),
      );
      const dump = await runTool('pg_dump', [pair.herd]);
      expect(dump.code, dump.stderr).toBe(0);
      expect(dump.stdout).not.toMatch(/pgherd|citus/);
      expect(dump.stdout.match(/CREATE TRIGGER \w+/g)).toEqual(['CREATE TRIGGER note_shout']);
      const plain = await connectRaw(pair.plain);
      await resetSchema(plain);
      const restored = await runTool('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', pair.plain], { input: dump.stdout });
      expect(restored.code, restored.stderr).toBe(0);
      const herd = await connectRaw(pair.herd);
      for (const table of ['account', 'booking', 'currency', 'totals', 'note']) {
        const query = `SELECT t::text FROM ${table} t ORDER BY 1`;
        const { rows } = await plain
          .query(`SET search_path = public; ${query}`)
          .then((all) => (all as unknown as pg.QueryResult[])[1]!);
        expect(rows.length).toBeGreaterThan(0);
        expect((await herd.query(query)).rows).toEqual(rows);
      }
      await resetSchema(plain);
      await Promise.all([plain.end(), herd.end()]);
    }, 120_000);

    test('dumps as INSERTs, and with several workers', async () => {
      await runPsql('INSERT INTO booking SELECT g % 50 + 1, g, g FROM generate_series(1, 500) g;');
      const inserts = await runTool('pg_dump', ['--inserts', '--table=booking', pair.herd]);
      expect(inserts.code, inserts.stderr).toBe(0);
      expect(inserts.stdout.match(/^INSERT INTO public.booking VALUES/gm)).toHaveLength(500);
      const parallel = join(directory, 'parallel');
      const dump = await runTool('pg_dump', ['-Fd', '-j', '2', '-f', parallel, pair.herd]);
      expect(dump.code, dump.stderr).toBe(0);
      const copies = await runTool('pg_restore', ['-a', '-t', 'booking', '-f', '-', parallel]);
      expect(copies.stdout.match(/^\d+\t\d+\t/gm)).toHaveLength(500);
    }, 120_000);
  });

  describe.skipIf(python === undefined)('psycopg2', () => {
    test('reads, writes, rolls back, copies and uses a named cursor', async () => {
      const script = `
import io, sys, psycopg2, psycopg2.extras
c = psycopg2.connect(sys.argv[1])
q = c.cursor()
q.execute("INSERT INTO account (name, tags) VALUES (%s, %s) RETURNING id", ("Ada", ["a", "b"]))
assert q.fetchone() == (1,)
psycopg2.extras.execute_values(q, "INSERT INTO booking VALUES %s", [(i % 7, i, i) for i in range(100)])
c.commit()
q.execute("DELETE FROM booking"); c.rollback()
q.execute("SELECT count(*) FROM booking"); assert q.fetchone() == (100,)
n = c.cursor("named"); n.itersize = 10; n.execute("SELECT id FROM booking ORDER BY id")
assert [r[0] for r in n] == list(range(100)); n.close()
q.copy_expert("COPY booking FROM STDIN", io.StringIO("1\\t1000\\t5\\n2\\t1001\\t6\\n"))
out = io.StringIO(); q.copy_expert("COPY (SELECT id FROM booking WHERE id >= 1000 ORDER BY id) TO STDOUT", out)
assert out.getvalue() == "1000\\n1001\\n"
try:
    q.execute("INSERT INTO account (id, name) VALUES (1, 'x')"); assert False
except psycopg2.errors.UniqueViolation as e:
    assert e.diag.constraint_name == "account_pkey"
c.rollback(); c.close(); print("done")
`;
      const run = await runTool(python!, ['-c', script, pair.herd]);
      expect(run).toMatchObject({ code: 0, stdout: 'done\n' });
    });
  });
});
