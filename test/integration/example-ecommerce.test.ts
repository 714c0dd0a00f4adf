import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApi } from '../../examples/ecommerce/api.ts';
import { EcommerceSharding } from '../../examples/ecommerce/ecommerce-sharding.ts';
import { openOnRouter, openOnServers } from '../../examples/ecommerce/set-up.ts';
import { runTool } from '../drivers/tool.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { drawPort } from '../harness/postgres.ts';

let herd: TestHerd;
const shops = new Map<string, EcommerceSharding>();

beforeAll(async () => {
  herd = await startHerd({ nodes: 2 });
  const servers = herd.nodes.map(({ host, port }) => `postgresql://postgres@${host}:${port}/postgres`);
  shops.set('library', new EcommerceSharding(await openOnServers(servers, 2)));
  shops.set('router', new EcommerceSharding(await openOnRouter(herd.url)));
});

afterAll(async () => {
  for (const { sharding } of shops.values()) sharding.close();
  await herd.stop();
});

describe.each(['library', 'router'])('on the %s', (kind) => {
  const shop = () => shops.get(kind)!;

  test("the source's own walk through users and orders", async () => {
    await shop().createUser('user_001', 'alice', 'alice@example.com');
    await shop().createUser('user_002', 'bob', 'bob@example.com');
    await shop().createOrder('user_001', 'order_001', '99.99');
    await shop().createOrder('user_001', 'order_002', '149.99');
    await shop().createOrder('user_002', 'order_003', '199.99');
    const orders = await shop().getUserOrders('user_001');
    expect(orders.map(({ order_id, amount }) => [order_id, amount])).toEqual([
      ['order_002', '149.99'],
      ['order_001', '99.99'],
    ]);
    const totals = await shop().getAllOrders();
    expect(totals.sort((a, b) => (a.user_id < b.user_id ? -1 : 1))).toEqual([
      { user_id: 'user_001', order_count: '2', total_amount: '249.98' },
      { user_id: 'user_002', order_count: '1', total_amount: '199.99' },
    ]);
  });

  test('an order takes its goods from another shard, or is no order', async () => {
    for (let i = 0; i < 8; i++) {
      await shop().createProduct({ product_id: `p${i}`, name: `product ${i}`, price: '19.90', stock: 5 });
    }
    for (let i = 0; i < 8; i++) expect(await shop().placeOrder('user_001', `goods_${i}`, `p${i}`, 2)).toBe('39.80');
    await expect(shop().placeOrder('user_001', 'too_many', 'p0', 4)).rejects.toThrow('there are not 4 of product p0');
    // The order's number is taken: the goods stay where they are.
    await expect(shop().placeOrder('user_001', 'goods_1', 'p0', 1)).rejects.toMatchObject({ code: '23505' });
    expect((await shop().listProducts(3)).map(({ product_id, stock }) => [product_id, stock])).toEqual([
      ['p0', 3],
      ['p1', 3],
      ['p2', 3],
    ]);
  });

  test('an order is paid once, however many try', async () => {
    const tries = await Promise.allSettled(['a', 'b', 'c'].map((id) => shop().payOrder('user_002', 'order_003', id)));
    expect(tries.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
  });

  test('the API says what was wrong', async () => {
    const api = createApi(shop()).listen(0, '127.0.0.1');
    await once(api, 'listening');
    const call = caller((api.address() as AddressInfo).port);
    expect(await call('POST', '/users', { user_id: 'u', username: 'eve', email: 'eve@example.com' })).toMatchObject({
      status: 201,
    });
    expect(await call('POST', '/users', { user_id: 'u', username: 'eve', email: 'eve@example.com' })).toMatchObject({
      status: 409,
    });
    expect(await call('POST', '/users', { user_id: 'u', email: 'no' })).toMatchObject({ status: 400 });
    expect(await call('POST', '/users/u/orders', { order_id: 'o', product_id: 'p7', quantity: 1 })).toEqual({
      status: 201,
      body: { order_id: 'o', product_id: 'p7', quantity: 1, amount: '19.90' },
    });
    expect(await call('POST', '/users/nobody/orders', { order_id: 'o', amount: '1' })).toMatchObject({ status: 404 });
    expect(await call('POST', '/users/u/payments', { order_id: 'o', payment_id: 'x' })).toMatchObject({
      status: 201,
      body: { amount: '19.90' },
    });
    expect(await call('POST', '/users/u/payments', { order_id: 'o', payment_id: 'y' })).toMatchObject({ status: 409 });
    expect(await call('GET', '/users/u/orders')).toMatchObject({ body: [{ order_id: 'o', status: 'paid' }] });
    expect(await call('GET', '/users/none')).toMatchObject({ status: 404 });
    expect(await call('DELETE', '/users')).toMatchObject({ status: 405 });
    expect(await call('GET', '/healthz')).toMatchObject({ status: 200, body: { failed: [] } });
    api.close();
    api.closeAllConnections();
  });
});

test('both kinds of shop tell the same totals', async () => {
  const totals = await Promise.all([...shops.values()].map((shop) => shop.getAllOrders()));
  const [library, router] = totals.map((rows) => new Map(rows.map((row) => [row.user_id, row])));
  expect(library).toEqual(router);
});

function caller(port: number) {
  return async (method: string, path: string, body?: unknown) => {
    const request = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(`http://127.0.0.1:${port}${path}`, request);
    return { status: response.status, body: await response.json() };
  };
}

/** Both tell their version after -v; a skip is one visible line. */
function isInstalled(name: string): boolean {
  const found = spawnSync(name, ['-v']).status === 0;
  if (!found) process.stderr.write(`SKIPPED: tests of ${name}: it is not installed\n`);
  return found;
}

const balancers = join(import.meta.dirname, '..', '..', 'examples', 'ecommerce', 'load-balancer');

test.skipIf(!isInstalled('nginx'))('nginx accepts its configuration', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgherd-nginx-'));
  const outcome = await runTool('nginx', ['-t', '-p', folder, '-c', join(balancers, 'nginx.conf')]);
  rmSync(folder, { recursive: true });
  expect(outcome).toMatchObject({ code: 0 });
});

test.skipIf(!isInstalled('haproxy'))('behind haproxy an API process and a router may die', async () => {
  const file = join(balancers, 'haproxy.cfg');
  expect(await runTool('haproxy', ['-c', '-f', file])).toMatchObject({ code: 0 });
  const apis = [1, 2].map(() => createApi(shops.get('library')!).listen(0, '127.0.0.1'));
  await Promise.all(apis.map((api) => once(api, 'listening')));
  const [front, routers] = [await drawPort(), await drawPort()];
  const [first, second] = apis.map((api) => (api.address() as AddressInfo).port);
  const ports: Record<string, number> = {
    8000: front,
    6432: routers,
    8081: first!,
    8082: second!,
    5432: herd.port,
    5433: await drawPort(),
  };
  const folder = mkdtempSync(join(tmpdir(), 'pgherd-haproxy-'));
  const config = readFileSync(file, 'utf8').replace(/(127\.0\.0\.1:)(\d+)/g, (_, host, port) => host + ports[port]);
  writeFileSync(join(folder, 'haproxy.cfg'), config);
  const haproxy = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], { stdio: 'ignore' });
  try {
    const call = caller(front);
    await expect
      .poll(() => call('GET', '/healthz').catch(() => null), { timeout: 20_000 })
      .toMatchObject({ status: 200 });
    apis[0]!.close();
    apis[0]!.closeAllConnections();
    for (let i = 0; i < 10; i++) expect(await call('GET', '/users/user_001')).toMatchObject({ status: 200 });
    // Nobody listens where the second router would be.
    const behind = new EcommerceSharding(
      await openOnRouter(`postgresql://postgres@127.0.0.1:${routers}/postgres`, { retries: 6 }),
    );
    expect(await behind.getUser('user_001')).toMatchObject({ username: 'alice' });
    behind.sharding.close();
  } finally {
    haproxy.kill();
    apis[1]!.close();
    apis[1]!.closeAllConnections();
    rmSync(folder, { recursive: true });
  }
});
