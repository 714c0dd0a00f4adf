import { expect, test } from 'vitest';
import type { FrameSink, ServerConnection } from '../backend/server-connection.ts';
import { bindComplete, closeComplete, decodeDataRow, encodeCommandComplete, encodeDataRow } from '../wire/backend.ts';
import { encodeErrorResponse } from '../wire/error-messages.ts';
import { syncMessage } from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import { OpenedExchange } from './opened-exchange.ts';

const fragment = { rendered: { sql: 'SELECT 1', values: [] }, resultFormats: [1], describe: false };

function exchangeWithServer(
  mayRunAtOnce = false,
  fragments = [fragment],
): {
  exchange: OpenedExchange;
  server: () => FrameSink;
  syncs: () => number;
  written: readonly Buffer[];
  paused: readonly boolean[];
} {
  let sink: FrameSink | null = null;
  const written: Buffer[] = [];
  const paused: boolean[] = [];
  const connection = {
    target: { label: 'worker1' },
    newPortalName: () => 'p',
    submit: (bytes: Buffer, taker: FrameSink) => {
      written.push(bytes);
      sink = taker;
    },
    write: (bytes: Buffer) => written.push(bytes),
    cancel: async () => {},
    pause: () => paused.push(true),
    resume: () => paused.push(false),
  };
  const exchange = new OpenedExchange(connection as unknown as ServerConnection, fragments, mayRunAtOnce);
  const syncs = () => written.filter((bytes) => bytes.subarray(-syncMessage.length).equals(syncMessage)).length;
  return { exchange, server: () => sink!, syncs, written, paused };
}

const errorFrame = () => encodeErrorResponse({ severity: 'ERROR', code: '2201B', message: 'no' });

test('an error that comes after the opening was given up ends the exchange for whoever waits, with one Sync', async () => {
  const { exchange, server, syncs } = exchangeWithServer();
  const opening = exchange.open().then(
    () => 'opened',
    () => 'failed',
  );
  const abandoned = exchange.cancelOpening().then(() => 'abandoned');
  // The cancel request has gone out, and Sync after it.
  await Promise.resolve().then(() => {});
  server().onFrame(message.errorResponse, errorFrame());
  server().onReady('I');
  expect(await Promise.all([opening, abandoned])).toEqual(['failed', 'abandoned']);
  expect(syncs()).toBe(1);
});

test('a connection that is lost ends the exchange for whoever waits', async () => {
  const { exchange, server } = exchangeWithServer();
  const opening = exchange.open().then(
    () => 'opened',
    () => 'failed',
  );
  const abandoned = exchange.abandon().then(() => 'abandoned');
  server().onLost(new Error('gone') as never);
  expect(await Promise.all([opening, abandoned])).toEqual(['failed', 'abandoned']);
});

const row = (text: string) => encodeDataRow([Buffer.from(text)]);

test('rows that come before anybody asks for them are given first, in their order, and an error after them', async () => {
  const { exchange, server, syncs } = exchangeWithServer(true);
  const opening = exchange.open();
  expect(syncs()).toBe(1);
  server().onFrame(message.bindComplete, bindComplete);
  await opening;
  server().onFrame(message.dataRow, row('a'));
  const rows: string[] = [];
  const running = exchange.run((_, frame) => rows.push(String(decodeDataRow(frame)[0])));
  expect(rows).toEqual(['a']);
  server().onFrame(message.dataRow, row('b'));
  server().onFrame(message.errorResponse, errorFrame());
  server().onReady('I');
  await expect(running).rejects.toMatchObject({ code: '2201B' });
  expect(rows).toEqual(['a', 'b']);
});

test('a whole answer that came early is given when it is asked for', async () => {
  const { exchange, server } = exchangeWithServer(true);
  const opening = exchange.open();
  server().onFrame(message.bindComplete, bindComplete);
  await opening;
  server().onFrame(message.dataRow, row('a'));
  server().onFrame(message.commandComplete, encodeCommandComplete('SELECT 1'));
  server().onReady('I');
  const types: number[] = [];
  await exchange.run((type) => types.push(type));
  expect(types).toEqual([message.dataRow, message.commandComplete]);
});

test('a server that sends much before the others are bound waits, and what is given up is not kept', async () => {
  const { exchange, server, paused } = exchangeWithServer(true);
  const opening = exchange.open();
  server().onFrame(message.bindComplete, bindComplete);
  await opening;
  server().onFrame(message.dataRow, row('x'.repeat(300_000)));
  expect(paused).toEqual([true]);
  const abandoned = exchange.cancelOpening();
  await Promise.resolve();
  server().onFrame(message.errorResponse, errorFrame());
  server().onReady('I');
  await abandoned;
  expect(paused).toEqual([true, false]);
});

test('fragments between whose snapshots a transaction has ended are bound again', async () => {
  const { exchange, server, written } = exchangeWithServer(false, [fragment, fragment]);
  let isOpen = false;
  const opening = exchange.open().then(() => {
    isOpen = true;
  });
  const bindAll = (moments: readonly [string, string]) => {
    server().onFrame(message.bindComplete, bindComplete);
    server().onFrame(message.dataRow, row(moments[0]));
    for (let i = 0; i < 3; i++) server().onFrame(message.bindComplete, bindComplete);
    expect(isOpen).toBe(false);
    server().onFrame(message.dataRow, row(moments[1]));
  };
  bindAll(['10:12:10', '12:12:']);
  await Promise.resolve();
  expect(isOpen).toBe(false);
  expect(written).toHaveLength(2);
  bindAll(['12:13:', '12:13:']);
  await opening;
  expect(written).toHaveLength(2);
});

test('what comes behind a large answer does not pause a connection that is done', async () => {
  const { exchange, server, paused } = exchangeWithServer(true);
  const opening = exchange.open();
  server().onFrame(message.bindComplete, bindComplete);
  await opening;
  server().onFrame(message.dataRow, row('x'.repeat(300_000)));
  const running = exchange.run(() => {});
  server().onFrame(message.commandComplete, encodeCommandComplete('SELECT 1'));
  server().onFrame(message.closeComplete, closeComplete);
  server().onReady('I');
  await running;
  expect(paused).toEqual([true, false]);
});
