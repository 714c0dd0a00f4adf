import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { buildScramVerifier } from '../../src/wire/scram.ts';
import { allServers, startHerd, superuserPassword, type TestHerd } from '../harness/herd.ts';
import type { HerdServers } from '../harness/postgres.ts';

/** Clients, router and servers all with SCRAM-SHA-256 and TLS. */

const certificates = mkdtempSync(join(tmpdir(), 'pgherd-tls-'));
const cert = join(certificates, 'cert.pem');
const key = join(certificates, 'key.pem');
let herd: TestHerd;
let nodesHeard: (sql: string) => Promise<string[]>;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
      .concat(['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'])
      .concat(['-keyout', key, '-out', cert]),
    { stdio: 'ignore' },
  );
  const prepare = async (servers: HerdServers) => {
    const superusers = await Promise.all(allServers(servers).map((server) => superuser(server.port)));
    for (const client of superusers) await encrypt(client);
    closing.push(async () => void (await Promise.all(superusers.map((client) => client.end()))));
    nodesHeard = async (sql) => {
      const answers = await Promise.all(superusers.map((client) => client.query({ text: sql, rowMode: 'array' })));
      return answers.map(({ rows }) => rows.join());
    };
  };
  herd = await startHerd({ nodes: 2, auth: 'scram', tls: { cert, key }, serverTls: { ca: cert }, prepare });
  await everywhere("CREATE ROLE alice LOGIN PASSWORD '%'", 'wonderland');
  await everywhere('CREATE ROLE nopassword LOGIN');
  await everywhere("CREATE ROLE nologin NOLOGIN PASSWORD '%'", 'wonderland');
  await everywhere("CREATE ROLE late LOGIN PASSWORD '%' VALID UNTIL '2020-01-01'", 'wonderland');
  await everywhere('GRANT CREATE ON SCHEMA public TO alice');
});

afterAll(async () => {
  for (const close of closing) await close();
  await herd?.stop();
  rmSync(certificates, { recursive: true, force: true });
});

/** Directly at a server, from before it asked for passwords. */
async function superuser(port: number): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function encrypt(client: pg.Client): Promise<void> {
  const { rows } = await client.query('SHOW data_directory');
  const directory = rows[0].data_directory;
  for (const [name, file] of Object.entries({ 'server.crt': cert, 'server.key': key })) {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const list = lines.map((line) => `('${line}')`).join(', ');
    await client.query(`COPY (VALUES ${list}) TO PROGRAM 'umask 077; cat > ${directory}/${name}'`);
  }
  await client.query('ALTER SYSTEM SET ssl = on');
  await client.query('SELECT pg_reload_conf()');
  await vi.waitFor(async () => expect((await client.query('SHOW ssl')).rows[0].ssl).toBe('on'));
}

/** On all servers, with the same verifier in place of `%`. */
async function everywhere(sql: string, password = ''): Promise<void> {
  const verifier = password === '' ? '' : buildScramVerifier(password, Buffer.from(`salt of ${password}`.padEnd(16)));
  await nodesHeard(sql.replace('%', verifier));
}

async function login(user: string, password?: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port: herd.port, user, database: 'postgres' },
    ...(password === undefined ? {} : { password }),
    ...options,
  });
  client.on('error', () => {});
  await client.connect();
  closing.push(() => client.end().catch(() => {}));
  return client;
}

async function refusal(user: string, password: string): Promise<string> {
  try {
    await login(user, password);
    return 'let in';
  } catch (error) {
    return `${(error as pg.DatabaseError).code} ${(error as Error).message}`;
  }
}

test('the right password opens coordinator and nodes, as the role itself', async () => {
  const alice = await login('alice', 'wonderland');
  const { rows } = await alice.query("SELECT result FROM run_command_on_all_nodes('SELECT session_user')");
  expect(rows.map((row) => row.result)).toEqual(['alice', 'alice', 'alice']);
});

describe('nobody else gets in, and all are refused alike', () => {
  const cases = [
    ['a wrong password', 'alice', 'looking glass'],
    ['an unknown role', 'nobody', 'wonderland'],
    ['a role without a password', 'nopassword', 'wonderland'],
    ['a role that may not log in', 'nologin', 'wonderland'],
    ['a password that is no longer valid', 'late', 'wonderland'],
    ['an empty password', 'alice', ' '],
  ] as const;
  for (const [name, user, password] of cases) {
    test(name, async () => {
      expect(await refusal(user, password)).toBe(`28P01 password authentication failed for user "${user}"`);
    });
  }
});

test('a changed password counts at once, for new logins and for the connections behind them', async () => {
  await everywhere("CREATE ROLE changing LOGIN PASSWORD '%'", 'before');
  const early = await login('changing', 'before');
  await early.query('BEGIN');
  await early.query('SELECT 1');
  await everywhere("ALTER ROLE changing PASSWORD '%'", 'after');
  expect(await refusal('changing', 'before')).toMatch(/^28P01/);
  const late = await login('changing', 'after');
  // Both sessions need connections that are not open yet.
  const command = 'SELECT result FROM run_command_on_all_nodes($$SELECT session_user$$)';
  expect((await late.query(command)).rows).toHaveLength(3);
  await early.query('COMMIT');
  expect((await early.query(command)).rows).toHaveLength(3);
});

test('a role that is dropped and made anew needs its new password', async () => {
  await everywhere("CREATE ROLE phoenix LOGIN PASSWORD '%'", 'first');
  await (await login('phoenix', 'first')).end();
  await everywhere('DROP ROLE phoenix');
  expect(await refusal('phoenix', 'first')).toMatch(/^28P01/);
  await everywhere("CREATE ROLE phoenix LOGIN PASSWORD '%'", 'second');
  expect(await refusal('phoenix', 'first')).toMatch(/^28P01/);
  const reborn = await login('phoenix', 'second');
  await reborn.query('SELECT 1 FROM pg_class LIMIT 1');
});

test('an unknown database is told of only after the password', async () => {
  const wrong = login('alice', 'looking glass', { database: 'elsewhere' });
  await expect(wrong).rejects.toMatchObject({ code: '28P01' });
  await expect(login('alice', 'wonderland', { database: 'elsewhere' })).rejects.toMatchObject({ code: '3D000' });
});

test('clients may speak TLS, with the certificate of the configuration', async () => {
  const ssl = { ca: readFileSync(cert, 'utf8'), servername: 'localhost' };
  const client = await login('alice', 'wonderland', { ssl });
  const { rows } = await client.query('SELECT 1 AS one');
  expect(rows).toEqual([{ one: 1 }]);
  await expect(login('alice', 'looking glass', { ssl })).rejects.toMatchObject({ code: '28P01' });
});

test('bytes sent in the clear behind an SSLRequest end the connection', async () => {
  const request = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
  const socket = net.connect({ host: '127.0.0.1', port: herd.port });
  const answer: Buffer[] = [];
  socket.on('data', (chunk) => answer.push(chunk));
  socket.write(Buffer.concat([request, Buffer.from('injected')]));
  await new Promise((resolve) => socket.on('close', resolve));
  expect(Buffer.concat(answer).toString()).toBe('');
});

test('the router speaks TLS with every server', async () => {
  const client = await login('postgres', superuserPassword);
  const command = 'SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
  const { rows } = await client.query('SELECT result FROM run_command_on_all_nodes($1)', [command]);
  expect(rows.map((row) => row.result)).toEqual(['true', 'true', 'true']);
});

test('without a certificate the router refuses TLS, and serves whoever goes on without', async () => {
  const plain = await startHerd({ nodes: 1 });
  try {
    const at = { host: '127.0.0.1', port: plain.port, user: 'postgres', database: 'postgres' };
    const secure = new pg.Client({ ...at, ssl: { rejectUnauthorized: false } });
    await expect(secure.connect()).rejects.toThrow('does not support SSL');
    const client = new pg.Client(at);
    await client.connect();
    await client.query('SELECT 1');
    await client.end();
  } finally {
    await plain.stop();
  }
});
