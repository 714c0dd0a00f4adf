import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CopyIn, CopyOut } from '../drivers/copy.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = await connect(herd.url);
});

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

async function connect(url: string): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: url });
  made.on('error', () => {});
  await made.connect();
  return made;
}

async function rows(sql: string): Promise<string[]> {
  const result = await client.query({ text: sql, rowMode: 'array' });
  return result.rows.map((row) => row.map((value: unknown) => (value === null ? '∅' : String(value))).join('|'));
}

let schemaCount = 0;

/** Tables of different tests don't meet. */
async function freshSchema(): Promise<void> {
  schemaCount += 1;
  await client.query(`CREATE SCHEMA copy${schemaCount}`);
  await client.query(`SET search_path = copy${schemaCount}`);
}

function copyIn(sql: string, data: string | Buffer, pieceBytes = 7): Promise<number> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  return client.query(new CopyIn(sql, pieces)).done;
}

const copyOut = (sql: string): Promise<Buffer> => client.query(new CopyOut(sql)).done;

async function sortedLines(sql: string): Promise<string[]> {
  return (await copyOut(sql)).toString().trimEnd().split('\n').sort();
}

/** SQLSTATE, message and the first line of the context of what is thrown. */
async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return '';
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return [error.code, error.message, error.where?.split('\n')[0]].filter(Boolean).join(' / ');
  }
}

const onNode = async (index: number, sql: string): Promise<string[][]> => {
  const { host, port } = herd.nodes[index]!;
  const node = await connect(`postgresql://postgres@${host}:${port}/postgres`);
  try {
    return (await node.query({ text: sql, rowMode: 'array' })).rows;
  } finally {
    await node.end();
  }
};

describe('COPY into and out of a distributed table', () => {
  beforeEach(async () => {
    await freshSchema();
    await client.query(
      'CREATE TABLE t (id int NOT NULL, name text, amount numeric(10,2) DEFAULT 1.5, CHECK (amount < 1000))',
    );
    await client.query("SELECT create_distributed_table('t', 'id')");
  });

  test('text rows land where reads by key find them, wherever the chunks end', async () => {
    const lines = Array.from({ length: 200 }, (_, i) => `${i}\tname\\t${i}\t${i}.25`);
    expect(await copyIn('COPY t FROM STDIN', `${lines.join('\n')}\n`)).toBe(200);
    expect(await rows('SELECT count(*), sum(amount) FROM t')).toEqual(['200|19950.00']);
    expect(await rows('SELECT name FROM t WHERE id = 137')).toEqual(['name\t137']);
    for (const index of [0, 1])
      expect(Number((await onNode(index, `SELECT count(*) FROM copy${schemaCount}.t`))[0]![0])).toBeGreaterThan(50);
    expect(await sortedLines('COPY t TO STDOUT')).toEqual(lines.sort());
  });

  test('CSV with quoted newlines, NULLs, escapes and a header comes back as it went in', async () => {
    const data = 'id,name,amount\n1,"a ""b""\nc,d",\n2,,3.00\n3,"",4.00\n';
    expect(await copyIn('COPY t FROM STDIN (FORMAT csv, HEADER)', data)).toBe(3);
    expect(await rows('SELECT * FROM t ORDER BY id')).toEqual(['1|a "b"\nc,d|∅', '2|∅|3.00', '3||4.00']);
    const out = (await copyOut('COPY t TO STDOUT (FORMAT csv, HEADER)')).toString();
    expect(out.startsWith('id,name,amount\n')).toBe(true);
    expect(out.split('\n').sort()).toEqual(data.split('\n').sort());
  });

  test('binary rows go in and out, with one header and one trailer', async () => {
    await copyIn('COPY t FROM STDIN', Array.from({ length: 50 }, (_, i) => `${i}\tn${i}\t\\N\n`).join(''));
    const binary = await copyOut('COPY t TO STDOUT (FORMAT binary)');
    await client.query('DELETE FROM t');
    expect(await copyIn('COPY t FROM STDIN BINARY', binary, 11)).toBe(50);
    expect(await rows('SELECT count(*), count(amount), min(name) FROM t')).toEqual(['50|0|n0']);
    expect((await copyOut('COPY t TO STDOUT (FORMAT binary)')).length).toBe(binary.length);
  });

  test('an empty COPY is a COPY', async () => {
    expect(await copyIn('COPY t FROM STDIN', '')).toBe(0);
    expect((await copyOut('COPY t TO STDOUT')).length).toBe(0);
    expect((await copyOut('COPY t TO STDOUT (FORMAT csv, HEADER)')).toString()).toBe('id,name,amount\n');
    const binary = await copyOut('COPY t TO STDOUT (FORMAT binary)');
    expect(binary.length).toBe(21);
    expect(await copyIn('COPY t FROM STDIN (FORMAT binary)', binary)).toBe(0);
  });

  test('columns may be named in any order, and those left out get their defaults', async () => {
    await copyIn("COPY t (name, id) FROM STDIN (DELIMITER '|', NULL '-')", 'x|7\n-|8\n');
    expect(await rows('SELECT * FROM t ORDER BY id')).toEqual(['7|x|1.50', '8|∅|1.50']);
    expect((await copyOut("COPY t (amount, id) TO STDOUT (DELIMITER ';')")).toString().split('\n').sort()).toEqual([
      '',
      '1.50;7',
      '1.50;8',
    ]);
  });

  test('an error names the line of the data and leaves nothing behind', async () => {
    const good = Array.from({ length: 500 }, (_, i) => `${i}\tn\t1\n`).join('');
    expect(await failure(copyIn('COPY t FROM STDIN', `${good}500\tn\tx\n${good}`, 100))).toBe(
      '22P02 / invalid input syntax for type numeric: "x" / COPY t, line 501, column amount: "x"',
    );
    expect(await failure(copyIn('COPY t FROM STDIN', `${good}500\tn\t1000\n`, 100))).toContain(
      '23514 / new row for relation "t" violates check constraint "t_amount_check" / COPY t, line 501: "500\tn\t1000"',
    );
    expect(await failure(copyIn('COPY t FROM STDIN', `${good}x\tn\t1\n`, 100))).toBe(
      '22P02 / invalid input syntax for type integer: "x" / COPY t, line 501, column id: "x"',
    );
    expect(await failure(copyIn('COPY t FROM STDIN', `${good}5\tn\n`, 100))).toBe(
      '22P04 / missing data for column "amount" / COPY t, line 501: "5\tn"',
    );
    expect(await failure(copyIn('COPY t FROM STDIN', `${good}5\tn\t1\t2\n`, 100))).toBe(
      '22P04 / extra data after last expected column / COPY t, line 501: "5\tn\t1\t2"',
    );
    expect(await failure(copyIn('COPY t FROM STDIN CSV', '1,a,1\n2,"b\nc",1\n3,"d\ne\nf",y\n'))).toBe(
      '22P02 / invalid input syntax for type numeric: "y" / COPY t, line 6, column amount: "y"',
    );
    expect(await rows('SELECT count(*) FROM t')).toEqual(['0']);
    expect(await copyIn('COPY t FROM STDIN', good)).toBe(500);
  });

  test('of several errors the one of the earliest line is told', async () => {
    const lines = Array.from({ length: 300 }, (_, i) => `${i}\tn\t${i >= 20 ? 'x' : '1'}\n`);
    expect(await failure(copyIn('COPY t FROM STDIN', lines.join(''), 65_536))).toContain('COPY t, line 21,');
  });

  test('what is wrong with the statement is said before data are asked for', async () => {
    const none: Iterable<Buffer> = {
      [Symbol.iterator]() {
        throw new Error('the server asked for data');
      },
    };
    const ask = (sql: string) => failure(client.query(new CopyIn(sql, none)).done);
    expect(await ask('COPY t (nope) FROM STDIN')).toBe('42703 / column "nope" of relation "t" does not exist');
    expect(await ask('COPY t (id, id) FROM STDIN')).toBe('42701 / column "id" specified more than once');
    expect(await ask("COPY t FROM STDIN (DELIMITER 'ab')")).toContain(
      'COPY delimiter must be a single one-byte character',
    );
    expect(await ask('COPY t FROM STDIN (nonsense)')).toContain('option "nonsense" not recognized');
    expect(await ask("COPY t FROM STDIN (FORMAT 'x')")).toContain('COPY format "x" not recognized');
    expect(await ask("COPY t FROM '/tmp/x'")).toContain('PH002');
    expect(await ask("COPY t FROM STDIN (HEADER 'x')")).toContain('header requires a Boolean value or "match"');
  });

  test('HEADER MATCH compares names', async () => {
    const sql = 'COPY t (id, name) FROM STDIN (FORMAT csv, HEADER match)';
    expect(await copyIn(sql, 'id,name\n1,a\n')).toBe(1);
    expect(await failure(copyIn(sql, 'id,nam\n1,a\n'))).toBe(
      '22P04 / column name mismatch in header line field 2: got "nam", expected "name" / COPY t, line 1',
    );
    expect(await failure(copyIn(sql, 'id\n1,a\n'))).toContain(
      'wrong number of fields in header line: got 1, expected 2',
    );
  });

  test('FORCE_NULL and FORCE_NOT_NULL hold for the key too', async () => {
    await client.query('CREATE TABLE k (id text, v int)');
    await client.query("SELECT create_distributed_table('k', 'id')");
    await copyIn('COPY k FROM STDIN (FORMAT csv, FORCE_NOT_NULL (id))', ',1\n"",2\n');
    await copyIn('COPY k FROM STDIN (FORMAT csv, FORCE_NULL *)', '"",3\n');
    expect(await rows("SELECT v FROM k WHERE id = '' ORDER BY v")).toEqual(['1', '2']);
    expect(await rows('SELECT v FROM k WHERE id IS NULL')).toEqual(['3']);
  });

  test('WHERE keeps rows out; the tag counts those that came in', async () => {
    const data = Array.from({ length: 100 }, (_, i) => `${i}\tn\t1\n`).join('');
    expect(await copyIn('COPY t FROM STDIN WHERE t.id % 10 = 3', data)).toBe(10);
    expect(await failure(copyIn('COPY t FROM STDIN WHERE amount > random()', data))).toContain('PH002');
  });

  test('the client may fail it, or stop sending the data of the server', async () => {
    const broken = (function* (): Generator<Buffer> {
      yield Buffer.from('1\ta\t1\n2\tb\t');
      throw new Error('file is gone');
    })();
    expect(await failure(client.query(new CopyIn('COPY t FROM STDIN', broken)).done)).toBe(
      '57014 / COPY from stdin failed: Error: file is gone / COPY t, line 2',
    );
    expect(await rows('SELECT count(*) FROM t')).toEqual(['0']);
  });

  test('it belongs to the transaction around it', async () => {
    await client.query('BEGIN');
    await copyIn('COPY t FROM STDIN', '1\ta\t1\n2\tb\t2\n3\tc\t3\n');
    expect(await rows('SELECT count(*) FROM t')).toEqual(['3']);
    await client.query('ROLLBACK');
    expect(await rows('SELECT count(*) FROM t')).toEqual(['0']);
    await client.query('BEGIN');
    await copyIn('COPY t FROM STDIN', '1\ta\t1\n2\tb\t2\n');
    await client.query('SAVEPOINT s');
    expect(await failure(copyIn('COPY t FROM STDIN', '3\ta\tx\n'))).toContain('22P02');
    await client.query('ROLLBACK TO s');
    await copyIn('COPY t FROM STDIN', '5\tc\t3\n');
    await client.query('COMMIT');
    expect(await rows('SELECT id FROM t ORDER BY id')).toEqual(['1', '2', '5']);
  });

  test('a query over the table is copied out', async () => {
    await copyIn('COPY t FROM STDIN', '1\ta\t1\n2\tb\t2\n3\tc\t3\n');
    expect((await copyOut('COPY (SELECT id, name FROM t WHERE id > 1 ORDER BY id DESC) TO STDOUT')).toString()).toBe(
      '3\tc\n2\tb\n',
    );
  });

  test('ON_ERROR ignore skips rows on every node, also those with an unreadable key', async () => {
    if ((await rows("SELECT current_setting('server_version_num')::int >= 170000"))[0] !== 'true') return;
    const notices: string[] = [];
    const listen = (notice: { message?: string | undefined }) => notices.push(notice.message ?? '');
    client.on('notice', listen);
    const lines = Array.from({ length: 100 }, (_, i) => `${i % 10 === 3 ? 'x' : i}\tn\t${i % 10 === 7 ? 'y' : 1}\n`);
    expect(await copyIn('COPY t FROM STDIN (ON_ERROR ignore)', lines.join(''))).toBe(80);
    client.off('notice', listen);
    expect(notices).toEqual(['20 rows were skipped due to data type incompatibility']);
  });
});

describe('COPY that the router must complete', () => {
  beforeAll(freshSchema);

  test('serial, identity and volatile columns are filled in order', async () => {
    await client.query(`CREATE TABLE s (id serial, who text, at timestamptz DEFAULT now(),
      n bigint GENERATED BY DEFAULT AS IDENTITY (START 100))`);
    await client.query("SELECT create_distributed_table('s', 'id')");
    await copyIn('COPY s (who) FROM STDIN', Array.from({ length: 3_000 }, (_, i) => `w${i}\n`).join(''), 1_000);
    expect(await rows('SELECT count(*), min(id), max(id), min(n), max(n), count(DISTINCT at) FROM s')).toEqual([
      '3000|1|3000|100|3099|1',
    ]);
    expect(await rows('SELECT who, n FROM s WHERE id = 1234')).toEqual(['w1233|1333']);
    expect(await rows("SELECT currval('s_id_seq')")).toEqual(['3000']);
    expect(await failure(copyIn('COPY s (who) FROM STDIN', 'a\nb\tc\n'))).toBe(
      '22P04 / extra data after last expected column / COPY s, line 2: "b\tc"',
    );
    const csv = '"x,""y"\n"z"\n';
    await copyIn('COPY s (who) FROM STDIN CSV', csv);
    expect(await rows('SELECT id, who FROM s WHERE id > 3002 ORDER BY id')).toEqual(['3003|x,"y', '3004|z']);
  });

  test('binary rows are filled too', async () => {
    const data = await copyOut("COPY (SELECT 'b' || i FROM generate_series(1, 5) i) TO STDOUT (FORMAT binary)");
    expect(await copyIn('COPY s (who) FROM STDIN (FORMAT binary)', data)).toBe(5);
    expect(await rows("SELECT who FROM s WHERE who LIKE 'b_' ORDER BY id")).toEqual(['b1', 'b2', 'b3', 'b4', 'b5']);
  });

  test('keys that only PostgreSQL can read are routed as it says', async () => {
    await client.query('CREATE TABLE d (day date, at timestamptz, v int)');
    await client.query("SELECT create_distributed_table('d', 'at')");
    await client.query("SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Europe/Berlin'");
    await copyIn('COPY d FROM STDIN', '01/02/2024\t01/02/2024 10:00\t1\n02/02/2024\tinfinity\t2\n');
    await client.query('RESET DateStyle; RESET TimeZone');
    expect(await rows("SELECT v FROM d WHERE at = '2024-02-01 09:00Z'")).toEqual(['1']);
    expect(await failure(copyIn('COPY d FROM STDIN', '2024-01-01\tyesteryear\t1\n'))).toBe(
      '22007 / invalid input syntax for type timestamp with time zone: "yesteryear" / COPY d, line 1, column at: "yesteryear"',
    );
  });

  test('a table that is routed by a generated column is refused', async () => {
    await client.query('CREATE TABLE g (v int, id int GENERATED ALWAYS AS (v % 100) STORED)');
    await client.query("SELECT create_distributed_table('g', 'id')");
    expect(await failure(copyIn('COPY g FROM STDIN', '1\n'))).toContain('PH002');
    expect(await failure(copyIn('COPY g (id) FROM STDIN', '1\n'))).toBe('42P10 / column "id" is a generated column');
  });

  test('a row that no shard takes is refused with its line', async () => {
    await client.query('CREATE TABLE r (id int, v text)');
    await client.query(
      "SELECT create_distributed_table('r', 'id', 'range', shard_bounds := 'FROM (0) TO (10); FROM (10) TO (20)')",
    );
    expect(await copyIn('COPY r FROM STDIN', '1\ta\n11\tb\n')).toBe(2);
    expect(await failure(copyIn('COPY r FROM STDIN', '2\ta\n12\tb\n20\tc\n'))).toBe(
      '23514 / no partition of relation "r" found for row / COPY r, line 3',
    );
    expect(await rows('SELECT count(*) FROM r')).toEqual(['2']);
  });

  test('a reference table gets the same rows on every server', async () => {
    await client.query('CREATE TABLE ref (id serial PRIMARY KEY, name text, u uuid DEFAULT gen_random_uuid())');
    await client.query("SELECT create_reference_table('ref')");
    expect(await copyIn('COPY ref (name) FROM STDIN', 'a\nb\nc\n')).toBe(3);
    expect(await rows('SELECT id, name FROM ref ORDER BY id')).toEqual(['1|a', '2|b', '3|c']);
    const sum = `SELECT string_agg(ref::text, ' ' ORDER BY id) FROM copy${schemaCount}.ref`;
    expect((await onNode(0, sum))[0]).toEqual((await onNode(1, sum))[0]);
    expect((await onNode(0, sum))[0]).toEqual([(await rows(sum))[0]]);
    expect(await failure(copyIn('COPY ref (id, name) FROM STDIN', '4\td\n1\te\n'))).toBe(
      '23505 / duplicate key value violates unique constraint "ref_pkey" / COPY ref, line 2',
    );
    expect((await onNode(1, `SELECT count(*)::int FROM copy${schemaCount}.ref`))[0]).toEqual([3]);
    expect((await copyOut('COPY ref (id) TO STDOUT')).toString()).toBe('1\n2\n3\n');
  });

  test('a unique key without the distribution column holds', async () => {
    await client.query('CREATE TABLE u (id serial PRIMARY KEY, email text UNIQUE)');
    await client.query("SELECT create_distributed_table('u', 'id')");
    expect(await copyIn('COPY u (email) FROM STDIN', Array.from({ length: 1_000 }, (_, i) => `e${i}\n`).join(''))).toBe(
      1_000,
    );
    expect(await failure(copyIn('COPY u (email) FROM STDIN', 'new\ne77\n'))).toContain(
      '23505 / duplicate key value violates unique constraint "u_email_key"',
    );
    expect(await failure(copyIn('COPY u (email) FROM STDIN', 'twin\ntwin\n'))).toContain('23505');
    expect(await copyIn('COPY u (email) FROM STDIN', 'new\n\\N\n\\N\n')).toBe(3);
    expect(await rows("SELECT count(*) FROM u WHERE email = 'new'")).toEqual(['1']);
  });

  test('a temporary table of the same name is a table of its own', async () => {
    await client.query('CREATE SCHEMA copy_shadow');
    await client.query('SET search_path = copy_shadow');
    await client.query('CREATE TABLE shadow (id int)');
    await client.query("SELECT create_distributed_table('shadow', 'id')");
    await client.query('CREATE TEMP TABLE shadow (x text)');
    expect(await copyIn('COPY shadow FROM STDIN', 'a\nb\n')).toBe(2);
    expect(await rows('SELECT count(*) FROM copy_shadow.shadow')).toEqual(['0']);
    expect((await copyOut('COPY shadow TO STDOUT')).toString()).toBe('a\nb\n');
    await client.query('DROP TABLE pg_temp.shadow');
  });
});
