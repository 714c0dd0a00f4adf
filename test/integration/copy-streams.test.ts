import net from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeCommandComplete, decodeErrorFields } from '../../src/wire/backend.ts';
import { FrameCutter } from '../../src/wire/frames.ts';
import * as frontend from '../../src/wire/frontend.ts';
import { CopyIn, CopyOut } from '../drivers/copy.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';

let herd: TestHerd;
let client: pg.Client;

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  client = await connect();
  await client.query('CREATE TABLE t (id int, what text)');
  await client.query("SELECT create_distributed_table('t', 'id')");
});

afterAll(async () => {
  await client?.end();
  await herd?.stop();
});

async function connect(): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: herd.url });
  made.on('error', () => {});
  await made.connect();
  return made;
}

async function one(sql: string): Promise<unknown> {
  const { rows } = await client.query({ text: sql, rowMode: 'array' });
  return rows[0]?.[0];
}

/** A client at the level of messages. What comes back is told as `type` or `type:text`. */
class RawClient {
  readonly #socket: net.Socket;
  readonly #seen: string[] = [];
  #wake = () => {};

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    const cutter = new FrameCutter(0x7fffffff);
    socket.on('error', () => {});
    socket.on('data', (chunk) =>
      cutter.push(chunk, (type, frame) => {
        const letter = String.fromCharCode(type);
        if (letter === 'E') this.#seen.push(`E:${decodeErrorFields(frame).code}`);
        else if (letter === 'C') this.#seen.push(`C:${decodeCommandComplete(frame)}`);
        else if (!'SNK'.includes(letter)) this.#seen.push(letter);
        this.#wake();
      }),
    );
  }

  static async open(): Promise<RawClient> {
    const socket = net.connect(herd.port, '127.0.0.1');
    const made = new RawClient(socket);
    socket.write(
      frontend.encodeStartup([
        ['user', 'postgres'],
        ['database', 'postgres'],
      ]),
    );
    await made.until('Z');
    return made;
  }

  send(...messages: Buffer[]): void {
    this.#socket.write(Buffer.concat(messages));
  }

  /** Everything up to the first message of that type. */
  async until(letter: string): Promise<string[]> {
    for (;;) {
      const at = this.#seen.findIndex((each) => each.startsWith(letter));
      if (at >= 0) return this.#seen.splice(0, at + 1);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

const executeCopy = (sql: string) => [
  frontend.encodeParse('', sql, []),
  frontend.encodeBind({ portal: '', statement: '', parameterFormats: [], parameters: [], resultFormats: [] }),
  frontend.encodeDescribe('P', ''),
  frontend.encodeExecute('', 0),
  frontend.syncMessage,
];

const data = (text: string) => frontend.encodeCopyData(Buffer.from(text));

test('COPY works in the extended protocol, whose Sync during the data is ignored', async () => {
  const raw = await RawClient.open();
  raw.send(...executeCopy('COPY t FROM STDIN'));
  expect(await raw.until('G')).toEqual(['1', '2', 'n', 'G']);
  raw.send(data('1\ta\n2\tb'), frontend.flushMessage, data('\n'), frontend.copyDoneMessage, frontend.syncMessage);
  expect(await raw.until('Z')).toEqual(['C:COPY 2', 'Z']);
  raw.send(...executeCopy('COPY t FROM STDIN'));
  await raw.until('G');
  raw.send(data('1\ta\nx\n'), data('2\tb\n'), frontend.copyDoneMessage, frontend.syncMessage);
  expect(await raw.until('Z')).toEqual(['E:22P02', 'Z']);
  raw.send(...executeCopy('COPY t TO STDOUT'));
  expect(await raw.until('Z')).toEqual(['1', '2', 'n', 'H', 'd', 'd', 'c', 'C:COPY 2', 'Z']);
  raw.close();
  await client.query('DELETE FROM t');
});

test('an error is told while the client is silent, and the data that follow are ignored', async () => {
  const raw = await RawClient.open();
  raw.send(frontend.encodeQuery('COPY t FROM STDIN'));
  await raw.until('G');
  raw.send(data('1\ta\n2\tb\tc\n'));
  expect(await raw.until('Z')).toEqual(['E:22P04', 'Z']);
  raw.send(data('3\ta\n'), frontend.copyDoneMessage, frontend.encodeQuery('SELECT 1'));
  expect(await raw.until('Z')).toEqual(['T', 'D', 'C:SELECT 1', 'Z']);
  raw.close();
  expect(await one('SELECT count(*)::int FROM t')).toBe(0);
});

test('a COPY of a client that has gone leaves nothing behind, not even open transactions', async () => {
  const raw = await RawClient.open();
  raw.send(frontend.encodeQuery('COPY t FROM STDIN'));
  await raw.until('G');
  raw.send(data(Array.from({ length: 1_000 }, (_, i) => `${i}\ta\n`).join('')));
  await new Promise((resolve) => setTimeout(resolve, 100));
  raw.close();
  for (const { host, port } of herd.nodes) {
    const node = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
    await node.connect();
    const open = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'`;
    await expect.poll(async () => (await node.query(open)).rows[0]!.n, { timeout: 10_000 }).toBe(0);
    await node.end();
  }
  expect(await one('SELECT count(*)::int FROM t')).toBe(0);
});

test('a COPY that waits for data can be canceled', async () => {
  const other = await connect();
  const waiting = (async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from('1\ta\n');
    await new Promise(() => {});
  })();
  const outcome = other.query(new CopyIn('COPY t FROM STDIN', waiting)).done.catch((error) => error.code);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const canceler = new pg.Client({ connectionString: herd.url });
  // biome-ignore lint/suspicious/noExplicitAny: the cancel request is not among the published types
  (canceler as any).cancel(other, (other as any)._activeQuery ?? (other as any).activeQuery);
  expect(await outcome).toBe('57014');
  await other.end();
  expect(await one('SELECT count(*)::int FROM t')).toBe(0);
});

test('tables with rows are distributed and gathered again, whatever their values', async () => {
  await client.query(
    `CREATE TABLE odd (id serial PRIMARY KEY, what text, at timestamptz, span interval, f float8, j jsonb, b bytea, a text[])`,
  );
  await client.query(`INSERT INTO odd (what, at, span, f, j, b, a) SELECT
    CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN E'tab\\there' WHEN 2 THEN E'line\\nend\\\\' WHEN 3 THEN '' ELSE '\\N' END,
    '2024-01-01 12:00Z'::timestamptz + i * interval '1 hour', i * interval '-1 day 2 hours', i / 7.0,
    jsonb_build_object('i', i, 'q', '"'), decode(to_hex(i + 4096), 'hex'), ARRAY['x,y', NULL, '"' || i]
    FROM generate_series(1, 5000) i`);
  const sum = `SELECT md5(string_agg(odd::text, ' ' ORDER BY id)) FROM odd`;
  const before = await one(sum);
  await client.query("SET DateStyle = 'Postgres, DMY'; SET extra_float_digits = -5; SET IntervalStyle = sql_standard");
  await client.query("SELECT create_distributed_table('odd', 'id')");
  expect(await one('SHOW DateStyle')).toBe('Postgres, DMY');
  await client.query('RESET DateStyle; RESET extra_float_digits; RESET IntervalStyle');
  expect(await one(sum)).toBe(before);
  expect(await one('SELECT count(*)::int FROM odd')).toBe(5_000);
  await client.query("SELECT undistribute_table('odd')");
  expect(await one(sum)).toBe(before);
  await client.query("SELECT create_reference_table('odd')");
  expect(await one(sum)).toBe(before);
  for (const { host, port } of herd.nodes) {
    const node = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
    await node.connect();
    expect((await node.query({ text: sum, rowMode: 'array' })).rows[0]![0]).toBe(before);
    await node.end();
  }
});

test('a table without shards can be copied out, and takes no rows', async () => {
  await client.query('CREATE TABLE bare (id int)');
  await client.query("SELECT create_distributed_table('bare', 'id', 'range')");
  expect((await client.query(new CopyOut('COPY bare TO STDOUT')).done).length).toBe(0);
  const refused = client.query(new CopyIn('COPY bare FROM STDIN', [Buffer.from('1\n')])).done;
  await expect(refused).rejects.toMatchObject({ code: '23514' });
});

test('a server that dies while far more waits for it than it may be behind ends the COPY, and nothing is left of it', async () => {
  const { host, port } = herd.nodes[0]!;
  const node = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  await node.connect();
  await node.query('BEGIN');
  await node.query('LOCK TABLE t IN SHARE MODE');
  const block = Buffer.from(Array.from({ length: 2_000 }, (_, i) => `${i}\t${'x'.repeat(90)}\n`).join(''));
  const blocks = Array.from({ length: 200 }, () => block);
  const other = await connect();
  const copying = other.query(new CopyIn('COPY t FROM STDIN', blocks)).done;
  const ended = expect(copying).rejects.toMatchObject({ code: expect.stringMatching(/^(57P01|08006)$/) });
  const blocked = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 't'::regclass";
  await expect.poll(async () => (await node.query(blocked)).rowCount, { timeout: 20_000 }).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await node.query(`SELECT pg_terminate_backend(pid) FROM (${blocked}) AS b`);
  await ended;
  await node.end();
  await other.end();
  expect(await one('SELECT count(*)::int FROM t')).toBe(0);
});

test('a long COPY is taken in bounded memory', async () => {
  const bytes = 200_000_000;
  const block = Buffer.from(Array.from({ length: 2_000 }, (_, i) => `${i * 7_919}\t${'x'.repeat(90)}\n`).join(''));
  const count = Math.floor(bytes / block.length);
  await client.query('CREATE TABLE long (id int, what text)');
  await client.query("SELECT create_distributed_table('long', 'id')");
  const before = process.memoryUsage().rss;
  let peak = before;
  const blocks = (function* (): Generator<Buffer> {
    for (let i = 0; i < count; i++) {
      peak = Math.max(peak, process.memoryUsage().rss);
      yield block;
    }
  })();
  expect(await client.query(new CopyIn('COPY long FROM STDIN', blocks)).done).toBe(count * 2_000);
  // Router and client are one process here; the data are 200 MB.
  expect(peak - before).toBeLessThan(150_000_000);
  expect(await one(`SELECT count(*)::int FROM long WHERE what = repeat('x', 90)`)).toBe(count * 2_000);
  expect(await one('SELECT sum(id)::float8 FROM long')).toBe(count * ((7_919 * 2_000 * 1_999) / 2));
}, 300_000);

test('what goes out comes at the pace of the client', async () => {
  const before = process.memoryUsage().rss;
  let peak = before;
  let bytes = 0;
  class Counting extends CopyOut {
    override handleCopyData({ chunk }: { chunk: Buffer }): void {
      bytes += chunk.length;
      if (bytes % 1_000 === 0) peak = Math.max(peak, process.memoryUsage().rss);
    }
  }
  await client.query(new Counting('COPY long TO STDOUT')).done;
  expect(bytes).toBeGreaterThan(190_000_000);
  expect(peak - before).toBeLessThan(150_000_000);
}, 300_000);
