import { expect, test } from 'vitest';
import type { FrameSink, ServerConnection } from '../backend/server-connection.ts';
import { encodeErrorResponse } from '../wire/error-messages.ts';
import { syncMessage } from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import { OpenedExchange } from './opened-exchange.ts';

const fragment = { rendered: { sql: 'SELECT 1', values: [] }, resultFormats: [1], describe: false };

function exchangeWithServer(): { exchange: OpenedExchange; server: () => FrameSink; syncs: () => number } {
  let sink: FrameSink | null = null;
  const written: Buffer[] = [];
  const connection = {
    target: { label: 'worker1' },
    newPortalName: () => 'p',
    submit: (bytes: Buffer, taker: FrameSink) => {
      written.push(bytes);
      sink = taker;
    },
    write: (bytes: Buffer) => written.push(bytes),
    cancel: async () => {},
  };
  const exchange = new OpenedExchange(connection as unknown as ServerConnection, [fragment]);
  const syncs = () => written.filter((bytes) => bytes.subarray(-syncMessage.length).equals(syncMessage)).length;
  return { exchange, server: () => sink!, syncs };
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
