import {
  bind,
  cancelRequest,
  execute,
  gssEncRequest,
  int32,
  parse,
  query,
  rawFrame,
  sslRequest,
  startup,
  sync,
  terminate,
} from '../frames.ts';
import { RawConnection } from '../raw-connection.ts';
import { queries, type Scenario, talk } from '../scenario.ts';

/** Startup, cancel, notifications, and what is no message. */
export const session: readonly Scenario[] = [
  {
    name: 'startup',
    run: async (address, open) => {
      const c = open(await RawConnection.open(address));
      const { user, database } = address;
      await c.ready(startup({ user, database, application_name: 'wire', client_encoding: 'UTF8', DateStyle: 'SQL' }));
      c.lines.sort();
      await c.ready(query('SHOW DateStyle'));
    },
  },
  {
    name: 'startup options',
    run: async (address, open) => {
      const options = '-c search_path=pg_catalog -c work_mem=2MB --statement-timeout=7s';
      const c = open(await RawConnection.login(address, { options }));
      for (const name of ['search_path', 'work_mem', 'statement_timeout']) await c.ready(query(`SHOW ${name}`));
    },
  },
  {
    name: 'SSL and GSS requests',
    run: async (address, open) => {
      const c = open(await RawConnection.open(address, false));
      await c.byte(gssEncRequest());
    },
  },
  {
    name: 'SSLRequest without TLS, then startup',
    run: async (address, open) => {
      const c = open(await RawConnection.open(address, false));
      await c.byte(sslRequest());
      await c.ready(startup({ user: address.user, database: address.database }));
      c.lines.splice(1, c.lines.length - 2);
    },
  },
  {
    name: 'a newer minor protocol version',
    run: async (address, open) => {
      const c = open(await RawConnection.open(address));
      const { user, database } = address;
      await c.ready(startup({ user, database, '_pq_.unknown': '1' }, 3 * 65536 + 9999));
      c.lines.length = 1;
    },
  },
  {
    name: 'startups that are refused',
    run: async (address, open) => {
      const { user, database } = address;
      for (const parameters of [
        { user, database: 'no such database' },
        { database },
        { user, database, nope: '1' },
        { user, database, DateStyle: 'nope' },
      ]) {
        const c = open(await RawConnection.open(address));
        await c.hangUp(startup(parameters));
        // The router may know before it says that the login is all right.
        const codes = c.lines.flatMap((line) => line.match(/V:\w+ C:\w+|\(closed\)/g) ?? []);
        c.lines.splice(0, c.lines.length, ...codes);
      }
    },
  },
  {
    name: 'what is no startup is hung up on',
    run: async (address, open) => {
      const { user, database } = address;
      for (const frame of [
        startup({ user, database }, 2 * 65536),
        startup({ user, database }, 4 * 65536),
        int32(4),
        int32(100_000_000),
        Buffer.from('GET / HTTP/1.1\r\n\r\n'),
        cancelRequest(int32(1), int32(1)),
      ]) {
        const c = open(await RawConnection.open(address));
        await c.hangUp(frame);
        c.lines.splice(0, c.lines.length - 1);
      }
    },
  },
  talk('Terminate', async (c) => {
    await c.ready(query('SELECT 1'));
    await c.hangUp(terminate());
  }),
  talk('an unknown message ends the session', (c) => c.hangUp(rawFrame('j', Buffer.from('x')))),
  talk('an impossible length ends the session', async (c) => {
    await c.hangUp(Buffer.from([0x51, 0, 0, 0, 2]));
    c.lines.splice(0, c.lines.length - 1);
  }),
  talk('a message too short for its fields', async (c) => {
    await c.ready(parse('SELECT 1'), rawFrame('B', Buffer.from('\0\0\0', 'latin1')), sync());
    await c.ready(rawFrame('P', Buffer.from('x', 'latin1')), sync());
    await c.ready(rawFrame('D', Buffer.from('X\0', 'latin1')), sync());
    await c.ready(rawFrame('C', Buffer.from('X\0', 'latin1')), sync());
    await c.ready(rawFrame('E', Buffer.from('\0', 'latin1')), sync());
    const tooLong = Buffer.concat([Buffer.from('\0\0\0\0\0\x01', 'latin1'), int32(50)]);
    await c.ready(parse('SELECT $1'), rawFrame('B', tooLong), sync());
  }),
  talk('a query that is not a string', async (c) => {
    await c.ready(rawFrame('Q', Buffer.from('SELECT 1')));
    await c.ready(rawFrame('Q', Buffer.from('SELECT 1\0SELECT 2\0')));
    await c.ready(rawFrame('Q', Buffer.from([0x53, 0xff, 0xfe, 0])));
  }),
  talk('a parameter that is not text', (c) =>
    c.ready(parse('SELECT t FROM w WHERE t = $1'), bind({ values: [Buffer.from([0xc3, 0x28])] }), execute(), sync()),
  ),
  {
    name: 'cancel',
    run: async (address, open) => {
      const c = open(await RawConnection.login(address));
      const key = c.messages.find((message) => message.type === 'K')!.body;
      const cancel = async () => {
        const other = await RawConnection.open(address);
        await other.hangUp(cancelRequest(key.subarray(0, 4), key.subarray(4)));
      };
      for (const sql of [
        'SELECT pg_sleep(9)',
        'SELECT pg_sleep(9), id FROM w WHERE id = 1',
        'SELECT pg_sleep(3) FROM w',
      ]) {
        const timer = setTimeout(() => void cancel(), 300);
        await c.ready(query(sql));
        clearTimeout(timer);
      }
      await c.ready(query('SELECT 1'));
    },
  },
  {
    name: 'LISTEN and NOTIFY',
    run: async (address, open) => {
      const listener = open(await RawConnection.login(address));
      const sender = open(await RawConnection.login(address));
      await listener.ready(query('LISTEN ch'));
      const notified = listener.answers(1);
      await sender.ready(query("NOTIFY ch, 'hallo'"));
      await notified;
    },
  },
  queries(
    'LISTEN and NOTIFY on one connection',
    'LISTEN ch',
    "BEGIN; NOTIFY ch, 'eins'; NOTIFY ch, 'eins'; SELECT pg_notify('ch', 'zwei')",
    'COMMIT',
    "BEGIN; NOTIFY ch, 'nie'; ROLLBACK",
    'UNLISTEN ch',
    'NOTIFY ch',
  ),
];
