import type { EcommerceSharding } from './ecommerce-sharding.ts';

export interface Figure {
  readonly operation: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
}

const products = 20;
const clients = 8;
const warmUpMs = 500;

/** Each operation by itself, by eight clients at once, for its share of the seconds. */
export async function measure(shop: EcommerceSharding, seconds: number): Promise<Figure[]> {
  const run = `m${Date.now().toString(36)}`;
  const product = (i: number) => `${run}_p${i % products}`;
  const user = (i: number) => `${run}_u${i}`;
  for (let i = 0; i < products; i++) {
    await shop.createProduct({ product_id: product(i), name: `product ${i}`, price: '9.95', stock: 100_000_000 });
  }
  let users = 0;
  const operations: Record<string, (i: number) => Promise<unknown>> = {
    createUser: async (i) => {
      await shop.createUser(user(i), `user ${i}`, `u${i}@example.com`);
      users = Math.max(users, i + 1);
    },
    createOrder: (i) => shop.createOrder(user(i % users), `${run}_o${i}`, '99.99'),
    getUserOrders: (i) => shop.getUserOrders(user(i % users)),
    placeOrder: (i) => shop.placeOrder(user(i % users), `${run}_b${i}`, product(i), 1),
    getAllOrders: () => shop.getAllOrders(),
  };
  const figures: Figure[] = [];
  const shareMs = (seconds * 1_000) / Object.keys(operations).length;
  for (const [operation, once] of Object.entries(operations)) figures.push(await repeat(operation, once, shareMs));
  return figures;
}

async function repeat(operation: string, once: (i: number) => Promise<unknown>, forMs: number): Promise<Figure> {
  const startMs = performance.now();
  const warmMs = startMs + Math.min(warmUpMs, forMs / 4);
  const endMs = startMs + forMs;
  const times: number[] = [];
  let next = 0;
  const client = async () => {
    for (;;) {
      const beginMs = performance.now();
      if (beginMs >= endMs) return;
      await once(next++);
      if (beginMs >= warmMs) times.push(performance.now() - beginMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
  const perSecond = (times.length * 1_000) / (performance.now() - warmMs);
  return { operation, perSecond, p50Ms: at(0.5), p95Ms: at(0.95) };
}

export function figuresText(figures: readonly Figure[]): string {
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(14) : cell.padStart(10))).join('');
  return [
    line(['operation', 'per second', 'p50 ms', 'p95 ms']),
    ...figures.map(({ operation, perSecond, p50Ms, p95Ms }) =>
      line([operation, perSecond.toFixed(0), p50Ms.toFixed(2), p95Ms.toFixed(2)]),
    ),
  ].join('\n');
}
