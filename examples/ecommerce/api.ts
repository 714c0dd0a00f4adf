import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { PgError } from 'pgherd/sdk';
import { z } from 'zod';
import { type EcommerceSharding, ShopError } from './ecommerce-sharding.ts';

const id = z.string().min(1).max(64);
const money = z.string().regex(/^\d{1,10}(\.\d{1,2})?$/, 'an amount such as "99.99"');
const newUser = z.strictObject({ user_id: id, username: z.string().min(1).max(50), email: z.email().max(100) });
const newProduct = z.strictObject({ product_id: id, name: z.string().min(1), price: money, stock: z.int().min(0) });
const newOrder = z.union([
  z.strictObject({ order_id: id, amount: money }),
  z.strictObject({ order_id: id, product_id: id, quantity: z.int().min(1).max(1_000) }),
]);
const newPayment = z.strictObject({ order_id: id, payment_id: id });

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

type Handler = (shop: EcommerceSharding, ids: readonly string[], body: unknown) => Promise<Answer>;

/** Method and path → what is done; `:` stands for an id. */
const routes: readonly { readonly method: string; readonly path: RegExp; readonly handle: Handler }[] = [
  route('GET', '/healthz', async (shop) => {
    const { outcomes } = await shop.sharding.settleDistributedQuery('SELECT 1', [], {
      access: 'read',
      timeoutMs: 2_000,
    });
    const failed = outcomes.filter(({ status }) => status === 'rejected').map(({ shard }) => shard);
    return { status: failed.length === 0 ? 200 : 503, body: { shards: outcomes.length, failed } };
  }),
  route('POST', '/users', async (shop, _, body) => {
    const user = newUser.parse(body);
    await shop.createUser(user.user_id, user.username, user.email);
    return { status: 201, body: user };
  }),
  route('GET', '/users/:', async (shop, [userId]) => {
    const user = await shop.getUser(userId!);
    if (user === undefined) throw new ShopError('not found', `there is no user ${userId}`);
    return { status: 200, body: user };
  }),
  route('GET', '/users/:/orders', async (shop, [userId]) => ({ status: 200, body: await shop.getUserOrders(userId!) })),
  route('POST', '/users/:/orders', async (shop, [userId], body) => {
    const order = newOrder.parse(body);
    if ('product_id' in order) {
      const amount = await shop.placeOrder(userId!, order.order_id, order.product_id, order.quantity);
      return { status: 201, body: { ...order, amount } };
    }
    await shop.createOrder(userId!, order.order_id, order.amount);
    return { status: 201, body: order };
  }),
  route('POST', '/users/:/payments', async (shop, [userId], body) => {
    const { order_id, payment_id } = newPayment.parse(body);
    return { status: 201, body: { order_id, payment_id, amount: await shop.payOrder(userId!, order_id, payment_id) } };
  }),
  route('GET', '/products', async (shop) => ({ status: 200, body: await shop.listProducts(100) })),
  route('POST', '/products', async (shop, _, body) => {
    const product = newProduct.parse(body);
    await shop.createProduct(product);
    return { status: 201, body: product };
  }),
  route('GET', '/reports/orders', async (shop) => ({ status: 200, body: await shop.getAllOrders() })),
];

function route(method: string, path: string, handle: Handler) {
  return { method, path: new RegExp(`^${path.replaceAll(':', '([^/]{1,200})')}$`), handle };
}

/** The shop as JSON over HTTP. Stateless: any number of processes may run behind a load balancer. */
export function createApi(shop: EcommerceSharding): Server {
  return createServer((request, response) => {
    answer(shop, request).then(
      ({ status, body }) => send(response, status, body),
      (error) => {
        const { status, message } = explain(error);
        send(response, status, { error: message });
      },
    );
  });
}

async function answer(shop: EcommerceSharding, request: IncomingMessage): Promise<Answer> {
  const { pathname } = new URL(request.url ?? '/', 'http://shop');
  const matching = routes.filter(({ path }) => path.test(pathname));
  const chosen = matching.find(({ method }) => method === request.method);
  if (chosen === undefined) {
    return { status: matching.length > 0 ? 405 : 404, body: { error: `${request.method} ${pathname} is not served` } };
  }
  const ids = chosen.path.exec(pathname)!.slice(1).map(decodeURIComponent);
  return chosen.handle(shop, ids, request.method === 'POST' ? await readJson(request) : undefined);
}

const maxBodyBytes = 65_536;

class BadRequest extends Error {}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new BadRequest(`a request has at most ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    throw new BadRequest('the body is no JSON');
  }
}

/** Faults of the servers are not told to customers in their own words. */
function explain(error: unknown): { status: number; message: string } {
  if (error instanceof ShopError) return { status: error.kind === 'conflict' ? 409 : 404, message: error.message };
  if (error instanceof z.ZodError) return { status: 400, message: z.prettifyError(error) };
  if (error instanceof BadRequest || error instanceof URIError) return { status: 400, message: error.message };
  if (error instanceof PgError && error.code === '23505') return { status: 409, message: 'it is there already' };
  if (error instanceof PgError && error.code === '23503') return { status: 404, message: 'there is no such user' };
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
  return { status: 503, message: 'try again later' };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
